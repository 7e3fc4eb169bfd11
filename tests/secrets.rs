//! No session ID gets out but by cookie or header: not in a line of the log, not in the text of any public type.

mod support;

use std::collections::{BTreeMap, HashMap};
use std::error::Error as _;
use std::fmt::{Debug, Display};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use futures::future::join_all;
use rocket::http::{Header, Status};
use rocket::local::asynchronous::{Client, LocalResponse};
use rocket::response::stream::TextStream;
use rocket::tokio::io::AsyncReadExt;
use rocket::{State, get, routes};
use rocket_dynamodb_sessions::testing::{Effect, On};
use rocket_dynamodb_sessions::{
    Config, ConsistentRead, CookieConfig, Endpoint, Error, Handle, InvalidHandle, Lifetime, OnOutage, Session,
    SessionId, SessionStatus, Sessions, Share, Verify,
};
use serde_json::{Value, json};
use support::{Bed, cookie, endpoint, logs, seed, sessions, set_cookies};

/// All session IDs of a run, and all that was formatted in it.
#[derive(Clone, Default)]
struct Witness {
    ids: Arc<Mutex<Vec<String>>>,
    /// Where a text is from, and the text.
    texts: Arc<Mutex<Vec<(String, String)>>>,
}

impl Witness {
    fn knows(&self, id: &SessionId) {
        self.ids.lock().expect("no panic").push(id.expose());
    }

    fn read(&self, what: impl Into<String>, text: impl Into<String>) {
        self.texts.lock().expect("no panic").push((what.into(), text.into()));
    }

    fn debug(&self, what: &str, value: &dyn Debug) {
        self.read(what, format!("{value:?}"));
        self.read(what, format!("{value:#?}"));
    }

    fn both<T>(&self, what: &str, value: &T)
    where
        T: Debug + Display,
    {
        self.debug(what, value);
        self.read(what, value.to_string());
    }

    /// An error with all that is below it.
    fn error(&self, error: &Error) {
        let name = format!("Error::{}", variant(error));
        self.both(&name, error);
        let mut source = error.source();
        while let Some(cause) = source {
            self.read(&name, format!("{cause} {cause:?} {cause:#?}"));
            source = cause.source();
        }
    }

    /// A session with all that it hands out.
    fn session(&self, session: &Session) {
        self.debug("Session", session);
        self.debug("SessionStatus", &session.status());
        if let Some(id) = session.id() {
            self.knows(&id);
            self.debug("SessionId", &id);
        }
        if let Some(handle) = session.handle() {
            self.both("Handle", &handle);
        }
    }

    /// What a client was told.
    fn response(&self, response: &LocalResponse<'_>) {
        let header = response.headers().get("X-SessionId").map(str::to_owned);
        for told in set_cookies(response).into_iter().chain(header) {
            let value = told.split(';').next().unwrap_or_default().trim_start_matches("session=").to_owned();
            if let Some(id) = Sessions::parse_id(&value) {
                self.knows(&id);
            }
        }
    }
}

fn variant(error: &Error) -> &'static str {
    match error {
        Error::Unavailable { .. } => "Unavailable",
        Error::Rejected { .. } => "Rejected",
        Error::NewerFormat { .. } => "NewerFormat",
        Error::Undecodable { .. } => "Undecodable",
        Error::TooLarge { .. } => "TooLarge",
        Error::Value { .. } => "Value",
        Error::UpdatePanicked { .. } => "UpdatePanicked",
        Error::HeadSent => "HeadSent",
        Error::Lifetime { .. } => "Lifetime",
        Error::Principal { .. } => "Principal",
        Error::NotAttached => "NotAttached",
        other => panic!("a new variant needs to be looked at here: {other}"),
    }
}

/// The spellings in which an ID could get out.
fn spellings(id: &str) -> Vec<String> {
    let plain = id.replace('-', "");
    let bytes: Vec<u8> =
        (0..16).map(|i| u8::from_str_radix(&plain[2 * i..2 * i + 2], 16).expect("hexadecimal")).collect();
    let list = bytes.iter().map(u8::to_string).collect::<Vec<_>>().join(", ");
    let mut all = vec![id.to_owned(), plain.clone(), id.to_uppercase(), plain.to_uppercase(), list];
    all.extend([STANDARD_NO_PAD.encode(&bytes), URL_SAFE_NO_PAD.encode(&bytes)]);
    // Within base64 of more, behind so many bytes more than a multiple of three: the letters that are the ID's alone.
    for before in 0..3 {
        let longer = [&[0; 3][..before], &bytes].concat();
        let alone = (8 * before).div_ceil(6)..8 * longer.len() / 6;
        all.extend([&STANDARD_NO_PAD, &URL_SAFE_NO_PAD].map(|base64| base64.encode(&longer)[alone.clone()].to_owned()));
    }
    // Half an ID is too much as well.
    all.extend([id[..18].to_owned(), id[19..].to_owned()]);
    all
}

/// The places where an ID stands, with the text. Thousands of spellings are looked for in a hundred megabytes of log: by
/// their first three bytes, then by eight, and only then as a whole.
fn leaks(ids: &[String], texts: &[(String, String)]) -> Vec<String> {
    let mut starts = vec![false; 1 << 24];
    let mut needles: HashMap<[u8; 8], Vec<Vec<u8>>> = HashMap::new();
    for spelling in ids.iter().flat_map(|id| spellings(id)) {
        let bytes = spelling.into_bytes();
        starts[bytes[..3].iter().fold(0, |start, byte| start << 8 | usize::from(*byte))] = true;
        needles.entry(bytes[..8].try_into().expect("eight bytes")).or_default().push(bytes);
    }
    let leaks = |text: &str| {
        let (bytes, mut start) = (text.as_bytes(), 0);
        for (end, byte) in bytes.iter().enumerate() {
            start = (start << 8 | usize::from(*byte)) & 0xff_ffff;
            if end >= 2 && starts[start] {
                let rest = &bytes[end - 2..];
                let candidates = rest.first_chunk::<8>().and_then(|start| needles.get(start));
                if candidates.is_some_and(|all| all.iter().any(|needle| rest.starts_with(needle))) {
                    return true;
                }
            }
        }
        false
    };
    texts.iter().filter(|(_, text)| leaks(text)).map(|(what, text)| format!("{what}: {text}")).collect()
}

/// Does to the session what the path says, flushes, and reports.
#[get("/do/<what>")]
async fn act(what: &str, session: Result<Session, Error>, witness: &State<Witness>) -> Result<String, Error> {
    let session = session.inspect_err(|error| witness.error(error))?;
    witness.session(&session);
    let done = match what {
        "read" => session.get::<u64>("n").map(drop),
        "bump" => session.update("n", |n: Option<u64>| n.unwrap_or(0) + 1).map(drop),
        "login" => session.login("ann"),
        "cycle" => session.cycle_id(),
        "ttl" => session.set_ttl(Duration::from_secs(3600)),
        "nobody" => session.login(""),
        "no-ttl" => session.set_ttl(Duration::ZERO),
        "large" => session.insert("large", "x".repeat(30_000)),
        "too-large" => session.insert("large", "x".repeat(500_000)),
        "type" => session.insert("n", "text").and_then(|()| session.get::<u64>("n").map(drop)),
        "panic-later" => session
            .update("n", |n: Option<u64>| {
                assert!(n.is_none_or(|n| n < 100), "a bug");
                n.unwrap_or(0) + 1
            })
            .map(drop),
        "remember" => {
            session.remember(false);
            Ok(())
        }
        "remove" => {
            session.remove("n");
            Ok(())
        }
        "take" => session.take::<Value>("n").await.map(drop),
        "empty" => {
            session.clear();
            Ok(())
        }
        "logout" => {
            session.invalidate();
            Ok(())
        }
        "swap" => {
            session.invalidate();
            session.insert("flash", "bye")
        }
        "fail" => {
            session.invalidate();
            session.insert("flash", "bye")?;
            return Err(Error::HeadSent);
        }
        "panic" => panic!("a bug"),
        other => panic!("{other} is nothing to do"),
    };
    let done = match done {
        Ok(()) => session.flush().await,
        Err(error) => Err(error),
    };
    witness.session(&session);
    if let Err(error) = &done {
        witness.error(error);
    }
    done.map(|()| what.to_owned())
}

/// Changes the session after the head: a drop-time flush, or no session to be told of any more.
#[get("/stream")]
fn stream(session: Session, witness: &State<Witness>) -> TextStream![String + '_] {
    TextStream! {
        yield "one".to_owned();
        if let Err(error) = session.insert("streamed", 1) {
            witness.error(&error);
        }
        witness.session(&session);
        yield "two".to_owned();
    }
}

/// Held when the server shuts down.
static HELD: Mutex<Option<Session>> = Mutex::new(None);

#[get("/hold")]
fn hold(session: Session) -> Result<(), Error> {
    *HELD.lock().expect("no panic") = Some(session);
    Ok(())
}

const DEEDS: [&str; 18] = [
    "read",
    "bump",
    "login",
    "cycle",
    "ttl",
    "no-ttl",
    "nobody",
    "large",
    "too-large",
    "type",
    "remember",
    "remove",
    "take",
    "empty",
    "logout",
    "swap",
    "fail",
    "panic",
];

/// Two nodes on one table: commits of one row in one process wait for each other.
struct Run {
    bed: Bed,
    client: Client,
    other: Client,
    witness: Witness,
}

impl Run {
    async fn start(witness: &Witness, change: impl FnOnce(&mut Config)) -> Self {
        let bed = Bed::new();
        let mut config = Config { warn_size: Share::new(0.05).expect("a share"), ..bed.config() };
        change(&mut config);
        let rocket = || bed.rocket(config.clone(), routes![act, stream, hold]).manage(witness.clone());
        let client = Client::untracked(rocket()).await.expect("a valid rocket");
        let other = Client::untracked(rocket()).await.expect("a valid rocket");
        Self { bed, client, other, witness: witness.clone() }
    }

    async fn seed(&self) -> SessionId {
        let id = seed(&self.client, None, &[("n", json!(5))]).await;
        self.witness.knows(&id);
        id
    }

    async fn get(&self, path: &str, id: &SessionId) -> Status {
        self.get_from(&self.client, path, id).await
    }

    async fn get_from(&self, client: &Client, path: &str, id: &SessionId) -> Status {
        let request = match &sessions(client).config().header {
            Some(name) => client.get(path).header(Header::new(name.clone(), id.expose())),
            None => client.get(path).cookie(cookie(id)),
        };
        let response = request.dispatch().await;
        self.witness.response(&response);
        let status = response.status();
        response.into_string().await;
        status
    }

    async fn act(&self, what: &str, id: &SessionId) -> Status {
        self.get(&format!("/do/{what}"), id).await
    }

    async fn change(&self, id: &SessionId, change: impl FnOnce(&mut BTreeMap<String, AttributeValue>)) {
        let mut row = self.bed.row(&self.client, id).await.expect("the row is there");
        let mut item: BTreeMap<_, _> = row.0.drain().collect();
        change(&mut item);
        row.0.extend(item);
        self.bed.put(row).await;
    }
}

/// Everything that happens to sessions, in a well store and in an ill one.
async fn busy(witness: &Witness, change: impl Fn(&mut Config)) {
    let run = Run::start(witness, &change).await;
    let (bed, client) = (&run.bed, &run.client);
    for deed in DEEDS {
        run.act(deed, &run.seed().await).await;
        // A visitor without a session, and with an ID that is not in the table.
        run.witness.response(&client.get(format!("/do/{deed}")).dispatch().await);
        let unknown = SessionId::random();
        run.witness.knows(&unknown);
        run.act(deed, &unknown).await;
    }

    let troubles = [
        Effect::Reset,
        Effect::Hang,
        Effect::Throttle,
        Effect::Status(500),
        Effect::Garbage,
        Effect::AccessDenied,
        Effect::TransactionConflict,
        Effect::TransactionInProgress,
        Effect::LoseAnswer,
        Effect::LoseAnswerAndHang,
    ];
    for trouble in troubles {
        for (on, deeds) in [
            (On::reads(), &["bump", "logout"][..]),
            (On::writes(), &["bump", "login", "cycle", "logout", "swap", "take"]),
            (On::any(), &["swap"]),
        ] {
            for deed in deeds {
                let id = run.seed().await;
                bed.faults.inject(on.clone().always(), trouble.clone());
                run.act(deed, &id).await;
                run.witness.response(&client.get(format!("/do/{deed}")).dispatch().await);
                bed.faults.clear();
                bed.faults.inject(on.clone(), trouble.clone());
                run.act(deed, &id).await;
                bed.faults.clear();
            }
        }
        let handle = sessions(client).handle_of(&run.seed().await);
        bed.faults.inject(On::any().always(), trouble);
        for result in
            [sessions(client).revoke(&handle).await.map(drop), sessions(client).table_status().await.map(drop)]
        {
            if let Err(error) = result {
                witness.error(&error);
            }
        }
        bed.faults.clear();
    }

    // Rows that cannot be decoded, are of a newer format, or change meanwhile: conflicts, gone, superseded, led.
    for (name, value) in [("data", "{"), ("data", "gAR9lC4="), ("format", "2")] {
        for deed in ["bump", "login", "logout", "swap"] {
            let value =
                if name == "format" { AttributeValue::N(value.into()) } else { AttributeValue::S(value.into()) };
            let id = run.seed().await;
            run.change(&id, |row| drop(row.insert(name.into(), value))).await;
            run.act(deed, &id).await;
        }
    }
    for first in ["read", "bump", "login", "cycle", "logout", "empty"] {
        for second in ["bump", "login", "cycle", "logout", "swap", "take", "panic-later"] {
            let id = run.seed().await;
            let gate = bed.faults.hold(On::writes());
            let (path, other) = (format!("/do/{second}"), async {
                gate.reached().await;
                run.act(first, &id).await;
                // Another program's: a value that makes an update panic, and data that cannot be decoded.
                let data = match first {
                    "bump" => "{\"n\":100}",
                    _ => "{",
                };
                if matches!(first, "read" | "bump") {
                    let text = |text: &str| AttributeValue::S(text.into());
                    run.change(&id, |row| {
                        row.insert("data".into(), text(data));
                        row.insert("modified".into(), text("another"));
                    })
                    .await;
                }
                gate.open();
            });
            tokio::join!(run.get_from(&run.other, &path, &id), other);
            run.act(second, &id).await;
        }
    }
    let id = run.seed().await;
    join_all((0..8).map(|_| run.act("bump", &id))).await;
    bed.advance(10 * 86_400);
    run.act("read", &id).await;
    bed.advance(20 * 86_400);
    run.act("bump", &id).await;

    // After the head: stored, refused, lost.
    let id = run.seed().await;
    run.get("/stream", &id).await;
    run.witness.response(&client.get("/stream").dispatch().await);
    let mut streamed = client.get("/stream").cookie(cookie(&id)).dispatch().await;
    let read = streamed.read(&mut [0; 3]).await.expect("the stream has begun");
    assert_eq!(read, 3);
    drop(streamed);

    let sessions = sessions(client).clone();
    let handle = sessions.handle_of(&id);
    sessions.revoke(&handle).await.expect("the store answers");
    sessions.revoke(&handle).await.expect("the store answers");
    witness.debug("TableStatus", &sessions.table_status().await.expect("the store answers"));
    witness.debug("Sessions", &sessions);
    witness.debug("Stats", &sessions.stats());
    witness.debug("Config", sessions.config());
    witness.debug("Database rows", &bed.rows().await);
    witness.debug("Bed faults", &bed.faults);

    // Held over the shutdown, which writes it, or fails to.
    for trouble in [None, Some(Effect::AccessDenied)] {
        let run = Run::start(witness, &change).await;
        let id = run.seed().await;
        run.get("/hold", &id).await;
        let held = HELD.lock().expect("no panic").take().expect("it is held");
        held.insert("held", 1).expect("it is live");
        if let Some(trouble) = trouble {
            run.bed.faults.inject(On::writes().always(), trouble);
        }
        let _rocket = run.client.terminate().await;
        run.witness.session(&held);
        drop(held);
    }
}

#[tokio::test(start_paused = true)]
async fn no_log_line_and_no_public_type_tells_a_session_id() {
    if endpoint().is_some() {
        eprintln!("left out: tokio's clock is paused, and a server of another process goes by the real one");
        return;
    }
    logs::catch_everything();
    let witness = Witness::default();
    busy(&witness, |_| {}).await;
    busy(&witness, |config| config.on_outage = OnOutage::Anonymous).await;
    busy(&witness, |config| {
        config.header = Some("X-SessionId".into());
        config.consistent_read = ConsistentRead::Off;
        config.key_prefix = "shop:".into();
    })
    .await;

    // What the run above has no reason to format.
    for error in [Error::NotAttached, Error::HeadSent] {
        witness.error(&error);
    }
    let id = SessionId::random();
    witness.knows(&id);
    witness.debug("SessionId", &id);
    witness.debug("SessionId in others", &(Some(id), vec![id], Ok::<_, ()>(id)));
    witness.both("InvalidHandle", &id.expose().parse::<Handle>().expect_err("an ID is no handle"));
    witness.both("InvalidHandle", &InvalidHandle);
    witness.both("ValueError", &Share::new(2.0).expect_err("no share"));
    let config = Config { attempts: 0, ..Config::default() };
    witness.both("ConfigError", &config.validate(true).expect_err("no attempts"));
    witness.debug("words", &(Verify::Fail, OnOutage::Fail, SessionStatus::Live, CookieConfig::default()));
    witness.debug("values", &(Lifetime::new(Duration::from_secs(60)), Share::new(0.5), Endpoint::Memory));

    let ids = witness.ids.lock().expect("no panic").clone();
    let mut texts = witness.texts.lock().expect("no panic").clone();
    let seen: std::collections::BTreeSet<_> = texts.iter().map(|(what, _)| what.clone()).collect();
    for variant in [
        "Unavailable",
        "Rejected",
        "NewerFormat",
        "Undecodable",
        "TooLarge",
        "Value",
        "UpdatePanicked",
        "HeadSent",
        "Lifetime",
        "Principal",
        "NotAttached",
    ] {
        let name = format!("Error::{variant}");
        assert!(seen.contains(&name), "{name} was not met in the run: {seen:?}");
    }

    // The whole way of a leak, from a log line to the search, works.
    log::trace!(target: "a leak", "the session {}", ids[0]);
    let leak = logs::all().into_iter().find(|line| line.target == "a leak").expect("it was caught");
    assert_eq!(leaks(&ids, &[(leak.target, leak.text)]).len(), 1);

    // Rocket and hyper print requests and responses with their cookies at the level `debug`: that is theirs.
    let lines = logs::all();
    let looked_at =
        |target: &str| ["rocket_dynamodb_sessions", "aws", "dynoxide"].iter().any(|own| target.starts_with(own));
    let lines: Vec<_> = lines.into_iter().filter(|line| looked_at(&line.target)).collect();
    let count = |own: &str| lines.iter().filter(|line| line.target.starts_with(own)).count();
    let (ours, sdk) = (count("rocket_dynamodb_sessions"), count("aws"));
    for said in [
        "could not be loaded",
        "could not be stored",
        "could not be stored after its response",
        "could not be stored at the shutdown",
        "trying again",
        "cannot be decoded",
        "were dropped, because it had ended",
        "were dropped, because a login superseded it",
        "panicked when it was replayed",
        "a session takes",
    ] {
        assert!(
            lines.iter().any(|line| line.is_ours() && line.text.contains(said)),
            "no line of the run says `{said}`"
        );
    }
    texts.extend(lines.into_iter().map(|line| (format!("{} {}", line.level, line.target), line.text)));
    // The SDK says the same with each request.
    texts.sort_unstable();
    texts.dedup();
    let leaks = leaks(&ids, &texts);
    assert!(leaks.is_empty(), "{} leaks, such as {}", leaks.len(), leaks[0]);
    eprintln!(
        "{} IDs, {} texts, of them {ours} log lines of this crate and {sdk} of the SDK: none tells an ID",
        ids.len(),
        texts.len()
    );
}

#[test]
fn a_leak_would_be_found_in_any_spelling() {
    let id = SessionId::random();
    let ids = [id.expose()];
    let plain = id.expose().replace('-', "");
    let bytes = u128::from_str_radix(&plain, 16).expect("hexadecimal").to_be_bytes();
    for leak in [
        id.expose(),
        id.expose().to_uppercase(),
        plain.clone(),
        STANDARD_NO_PAD.encode(bytes),
        URL_SAFE_NO_PAD.encode(bytes),
        format!("{bytes:?}"),
        format!("Cookie(\"session={}\")", id.expose()),
        URL_SAFE_NO_PAD.encode([b"one".as_slice(), &bytes, b"two"].concat()),
        URL_SAFE_NO_PAD.encode([b"four".as_slice(), &bytes, b"two"].concat()),
        STANDARD_NO_PAD.encode([b"seven".as_slice(), &bytes, b"two"].concat()),
    ] {
        assert_eq!(leaks(&ids, &[("a line".into(), format!("before{leak}after"))]).len(), 1, "{leak}");
    }
    assert_eq!(leaks(&ids, &[("another ID".into(), SessionId::random().expose())]), [""; 0]);
}

/// What stands in the session, and what a client or DynamoDB said of it.
const CARD: &str = "4111-1111-1111-1111";

#[tokio::test]
async fn no_form_of_an_error_tells_what_is_in_a_session() {
    #[derive(serde::Serialize)]
    struct Broken;
    impl<'de> serde::Deserialize<'de> for Broken {
        fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            let text = <String as serde::Deserialize>::deserialize(deserializer)?;
            Err(serde::de::Error::custom(format!("{text} is no card")))
        }
    }
    #[derive(serde::Deserialize, Debug)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code)]
    enum Colour {
        Red,
    }
    #[get("/errors")]
    async fn errors(session: Session, found: &State<Mutex<Vec<Error>>>) {
        let mut errors = vec![
            session.get::<u64>("card").expect_err("a text"),
            session.get::<Colour>("card").expect_err("no colour"),
            session.get::<Broken>("card").map(drop).expect_err("its own check"),
            session.get::<BTreeMap<u8, u8>>("cards").expect_err("no number"),
            session.update("card", |n: Option<u64>| n.unwrap_or(0)).expect_err("a text"),
            session.login(CARD.repeat(200)).expect_err("too long"),
        ];
        // The row comes back with a failed condition; here DynamoDB refuses or breaks down with it.
        for value in [json!(1), json!("x".repeat(500_000))] {
            session.insert("other", value).expect("it can be written");
            errors.extend(session.flush().await.err());
        }
        found.lock().expect("no panic").extend(errors);
    }

    logs::catch();
    let bed = Bed::new();
    let found = Mutex::new(Vec::<Error>::new());
    let rocket = bed.rocket(bed.config(), routes![errors]).manage(found);
    let client = Client::untracked(rocket).await.expect("a valid rocket");
    for effect in [Effect::AccessDenied, Effect::Status(500)] {
        let id = seed(&client, Some(CARD), &[("card", json!(CARD)), ("cards", json!({ CARD: 1 }))]).await;
        bed.faults.inject(On::writes().always(), effect);
        support::get(&client, "/errors", &id).await;
        bed.faults.clear();
    }
    let found = client.rocket().state::<Mutex<Vec<Error>>>().expect("managed").lock().expect("no panic");
    assert!(found.len() >= 14, "{found:?}");
    for error in found.iter() {
        let mut texts = vec![format!("{error} {error:?} {error:#?}")];
        let mut source = error.source();
        while let Some(cause) = source {
            texts.push(format!("{cause} {cause:?} {cause:#?}"));
            source = cause.source();
        }
        for text in texts {
            assert!(!text.contains(&CARD[..9]) && !text.contains("SdkBody") && !text.contains("headers"), "{text}");
        }
    }
}
