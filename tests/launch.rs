//! The launch: what aborts it, what it only warns of, and what it says. Its text is read from a process of its own, since
//! Rocket's logger is one a process.

mod support;

use std::fs;
use std::net::TcpListener;
use std::process::Command;
use std::time::{Duration, Instant};

use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType, TimeToLiveSpecification,
};
use rocket::error::ErrorKind;
use rocket::http::Status;
use rocket::local::asynchronous::Client;
use rocket::request::{FromRequest, Outcome};
use rocket::{Build, Request, Rocket, Route, get, routes};
use rocket_dynamodb_sessions::{Config, Endpoint, Error, Session, Sessions, Verify};
use support::{Bed, new_id, ok, sessions, told};

const CHILD: &str = "LAUNCH_IN_THIS_PROCESS";

#[get("/")]
fn index(session: Session) -> Result<String, Error> {
    session.update("visits", |n: Option<u64>| n.unwrap_or(0) + 1).map(|n| n.to_string())
}

/// An application as a user writes it: all it knows is in Rocket.toml and the environment.
fn app() -> Rocket<Build> {
    rocket::build().attach(Sessions::fairing()).mount("/", routes![index])
}

fn is_child() -> bool {
    std::env::var_os(CHILD).is_some()
}

/// What the child process does: it launches, and says how that ended.
async fn launch(rocket: Rocket<Build>) {
    match Client::untracked(rocket).await {
        Ok(client) => {
            println!("LAUNCHED");
            let response = client.get("/").dispatch().await;
            println!("ANSWERED {}", response.status().code);
        }
        Err(error) => println!("ABORTED by {}", error.kind()),
    }
}

struct Launch {
    text: String,
    took: Duration,
}

impl Launch {
    /// Runs one test of this binary in a process of its own, whose `is_child` is true, with this Rocket.toml and nothing
    /// in its environment but the variables given.
    #[track_caller]
    fn of(test: &str, toml: &str, variables: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("Rocket.toml");
        fs::write(&file, toml).expect("a file");
        let mut command = Command::new(std::env::current_exe().expect("a path"));
        command.args(["--exact", test, "--nocapture"]).current_dir(&folder).env_clear();
        command.env(CHILD, "1").env("ROCKET_CONFIG", &file).env("ROCKET_CLI_COLORS", "false");
        let start = Instant::now();
        let output = command.envs(variables.iter().copied()).output().expect("this binary runs");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success() && text.contains("1 passed"), "{text}");
        Self { text, took: start.elapsed() }
    }

    #[track_caller]
    fn aborts_and_says(&self, said: &[&str]) {
        assert!(self.text.contains("ABORTED") && !self.text.contains("LAUNCHED"), "{}", self.text);
        self.says(said);
    }

    #[track_caller]
    fn starts_and_says(&self, said: &[&str]) {
        assert!(self.text.contains("LAUNCHED") && !self.text.contains("ABORTED"), "{}", self.text);
        self.says(said);
    }

    #[track_caller]
    fn says(&self, said: &[&str]) {
        for said in said {
            assert!(self.text.contains(said), "not a word of {said:?}:\n{}", self.text);
        }
    }
}

// Without the fairing.

#[get("/")]
fn optional(_session: Option<Session>) {}

#[get("/")]
fn fallible(_session: Result<Session, Error>) {}

#[rocket::async_test]
async fn a_route_with_the_guard_and_no_fairing_aborts_the_launch() {
    let routes: [Vec<Route>; 3] = [routes![index], routes![optional], routes![fallible]];
    for routes in routes {
        let name = format!("{:?}", routes[0].name);
        let figment = rocket::Config::figment().merge(("log_level", "off"));
        let error = Client::untracked(rocket::custom(figment).mount("/", routes)).await.expect_err("no fairing");
        assert!(matches!(error.kind(), ErrorKind::SentinelAborts(_)), "{name}: {error}");
    }
}

#[rocket::async_test]
async fn the_abort_says_what_to_attach() {
    if is_child() {
        return launch(rocket::build().mount("/", routes![index])).await;
    }
    let said = "a route takes a `Session`: the sessions are not attached; add `.attach(Sessions::fairing())` at launch";
    Launch::of("the_abort_says_what_to_attach", "", &[]).aborts_and_says(&[said]);
}

/// A guard that hides the session from Rocket's sentinels.
struct User;

#[rocket::async_trait]
impl<'r> FromRequest<'r> for User {
    type Error = Error;

    async fn from_request(request: &'r Request<'_>) -> Outcome<Self, Error> {
        request.guard::<Session>().await.map(|_| Self)
    }
}

#[rocket::async_test]
async fn a_guard_inside_another_guard_and_no_fairing_answers_500_and_says_what_to_attach() {
    #[get("/")]
    fn hidden(_user: User) {}

    if is_child() {
        return launch(rocket::build().mount("/", routes![hidden])).await;
    }
    let test = "a_guard_inside_another_guard_and_no_fairing_answers_500_and_says_what_to_attach";
    let said = "the sessions are not attached; add `.attach(Sessions::fairing())` at launch";
    Launch::of(test, "", &[]).starts_and_says(&["ANSWERED 500", said]);
}

// Bad configurations.

#[rocket::async_test]
async fn a_bad_configuration_aborts_the_launch_and_names_profile_key_and_file() {
    if is_child() {
        return launch(app()).await;
    }
    let cases = [
        ("tabel = 'x'", "tabel", "unknown field: found `tabel`"),
        ("ttl = 'soon'", "ttl", "invalid value string \"soon\""),
        ("ttl = 0", "ttl", "invalid value unsigned int `0`"),
        ("table = 'ab'", "table", "\"ab\" is no name of a DynamoDB table"),
        (
            "ttl = '2 days'\nabsolute_ttl = '1 day'",
            "absolute_ttl",
            "`ttl` (2 days) is longer than `absolute_ttl` (1 day)",
        ),
        (
            "cookie = { same_site = 'none', secure = false }",
            "cookie.same_site",
            "browsers drop a `none` cookie that is not secure; set `secure = true`, or take `lax`",
        ),
        (
            "cookie = { name = '__Host-id', secure = false }",
            "cookie.name",
            "browsers drop a `__Host-` cookie that is not secure",
        ),
        (
            "cookie = { name = '__Host-id', secure = true, domain = 'example.com' }",
            "cookie.name",
            "browsers drop a `__Host-` cookie with `domain` or a `path` but \"/\"",
        ),
        (
            "cookie = { name = '__Host-id', secure = true, path = '/app' }",
            "cookie.name",
            "browsers drop a `__Host-` cookie with `domain` or a `path` but \"/\"",
        ),
        ("cookie = { nmae = 'id' }", "cookie.nmae", "unknown field: found `nmae`"),
        ("endpoint = 'localhost:8000'", "endpoint", "invalid value string \"localhost:8000\""),
        ("endpoint = 'file://x.db'", "endpoint", "expected `memory`, `file:PATH` without `//` before the path"),
        ("cookie = 'sid'", "cookie", "a text where a table belongs: write `cookie = { name = \"sid\" }`"),
        ("cookie = { domain = 'com' }", "cookie.domain", "browsers drop a cookie for all of \"com\""),
        ("cookie = { domain = '127.0.0.1' }", "cookie.domain", "browsers drop a cookie for the address \"127.0.0.1\""),
        (
            "header = 'content-length'",
            "header",
            "`content-length` has a meaning of its own in HTTP or for browsers; take a name of yours such as `X-SessionId`",
        ),
        (
            "remember_ttl = '1 day'",
            "remember_ttl",
            "`ttl` (14 days) is longer than `remember_ttl` (1 day); lower it or raise the other",
        ),
        ("cache_control = 'public'", "cache_control", "expected one of `private`, `no-store`"),
        ("consistent_read = 'auto'", "consistent_read", "expected `true` or `false`"),
    ];
    let test = "a_bad_configuration_aborts_the_launch_and_names_profile_key_and_file";
    for profile in ["default", "debug"] {
        for (lines, key, said) in cases {
            let launch = Launch::of(test, &format!("[{profile}.sessions]\n{lines}"), &[("ROCKET_PROFILE", "debug")]);
            let place = format!("for key {profile}.sessions.{key}\n");
            launch.aborts_and_says(&[said, &place, "in Rocket.toml TOML file", "launch fairing(s) failed"]);
        }
    }
}

#[rocket::async_test]
async fn a_bad_configuration_made_by_hand_aborts_the_launch_too() {
    let bed = Bed::new();
    let rocket = bed.rocket(Config { table: "ab".into(), ..bed.config() }, routes![index]);
    let error = Client::untracked(rocket).await.expect_err("a broken rule");
    assert!(matches!(error.kind(), ErrorKind::FailedFairings(_)), "{error}");
    assert_eq!(bed.faults.calls(), [""; 0]);
}

#[rocket::async_test]
async fn sections_that_nobody_reads_are_told_with_what_to_write() {
    if is_child() {
        return launch(app()).await;
    }
    let test = "sections_that_nobody_reads_are_told_with_what_to_write";
    let said = "Rocket takes [sessions] in Rocket.toml TOML file for a profile of that name, so that nobody reads it; write \
                [default.sessions]";
    for toml in ["[sessions]\ntable = 'shop'", "[sessions.cookie]\nname = 'x'"] {
        Launch::of(test, toml, &[]).aborts_and_says(&[said]);
    }
    let memory = "[default.sessions]\nendpoint = 'memory'\n";
    for (section, right) in [
        ("default.session", "default.sessions"),
        ("debug.Sessions", "debug.sessions"),
        ("relase.sessions", "release.sessions"),
        ("session", "default.sessions"),
    ] {
        let said = format!("nobody reads [{section}] in Rocket.toml TOML file; write [{right}]");
        let launch = Launch::of(test, &format!("{memory}[{section}]\ntable = 'shop'"), &[]);
        launch.starts_and_says(&[&said, "table: sessions at memory"]);
    }
    let said = "nobody reads the environment variable ROCKET_SESSION; write ROCKET_SESSIONS={…}";
    Launch::of(test, memory, &[("ROCKET_SESSION", "{table=\"shop\"}")]).starts_and_says(&[said]);
    let silent = Launch::of(test, &format!("{memory}[staging.sessions]\ntable = 'shop'"), &[]);
    assert!(!silent.text.contains("nobody reads"), "{}", silent.text);
}

#[rocket::async_test]
async fn json_in_the_environment_aborts_the_launch_and_is_spelt_as_rocket_reads_it() {
    if is_child() {
        return launch(app()).await;
    }
    let test = "json_in_the_environment_aborts_the_launch_and_is_spelt_as_rocket_reads_it";
    let launch = Launch::of(test, "", &[("ROCKET_SESSIONS", r#"{"table":"shop","ttl":60}"#)]);
    let said = r#"a text where a table belongs; write `{table="shop",ttl=60}`, with `=` and no quotes around the keys"#;
    launch.aborts_and_says(&[said, "for key SESSIONS", "in `ROCKET_` environment variable"]);
    let launch = Launch::of(test, "", &[("ROCKET_SESSIONS", "shop")]);
    launch.aborts_and_says(&[
        "found string \"shop\" where a table belongs; write `ROCKET_SESSIONS={table=\"sessions\"}`",
    ]);
}

#[rocket::async_test]
async fn a_cookie_table_beside_a_header_draws_a_warning() {
    if is_child() {
        return launch(app()).await;
    }
    let test = "a_cookie_table_beside_a_header_draws_a_warning";
    let said =
        "sessions.cookie is without effect: the ID travels in the header X-SessionId; remove `cookie` or `header`";
    let toml = "[default.sessions]\nendpoint = 'memory'\nheader = true\n";
    Launch::of(test, &format!("{toml}cookie = {{ path = '/' }}"), &[]).starts_and_says(&[said, "header: X-SessionId"]);
    let launch = Launch::of(test, toml, &[]);
    assert!(!launch.text.contains("without effect"), "{}", launch.text);
}

#[rocket::async_test]
async fn two_fairings_abort_the_launch_and_say_so() {
    if is_child() {
        let memory = || Config { endpoint: Some(Endpoint::Memory), ..Config::default() };
        let first = Sessions::fairing().config(Config { table: "first".into(), ..memory() });
        let second = Sessions::fairing().config(Config { table: "second".into(), ..memory() });
        return launch(rocket::build().attach(first).attach(second)).await;
    }
    let said = "the fairing of the sessions is attached twice, or the application manages a `Sessions` of its own; attach \
                `Sessions::fairing()` once";
    let launch = Launch::of("two_fairings_abort_the_launch_and_say_so", "", &[]);
    launch.aborts_and_says(&[said, "created the table `first`"]);
    assert!(!launch.text.contains("created the table `second`"), "the second asks nothing: {}", launch.text);
}

#[rocket::async_test]
async fn a_configuration_by_hand_says_that_rocket_toml_is_not_read() {
    if is_child() {
        let config = Config { endpoint: Some(Endpoint::Memory), ..Config::default() };
        return launch(rocket::build().attach(Sessions::fairing().config(config))).await;
    }
    let test = "a_configuration_by_hand_says_that_rocket_toml_is_not_read";
    let said = "the fairing was given a `Config`, so that nobody reads `sessions` in Rocket.toml; remove one of them";
    let launch = Launch::of(test, "[default.sessions]\ntable = 'shop'", &[]);
    launch.starts_and_says(&[said, "table: sessions at memory (the application's own `Config`)"]);
}

// Environment variables.

#[rocket::async_test]
async fn a_variable_that_rocket_ignores_draws_a_warning_with_the_right_spelling() {
    if is_child() {
        return launch(app()).await;
    }
    let test = "a_variable_that_rocket_ignores_draws_a_warning_with_the_right_spelling";
    let toml = "[default.sessions]\nendpoint = 'memory'";
    let said =
        r#"Rocket does not read the environment variable ROCKET_SESSIONS_TABLE; write ROCKET_SESSIONS={table="…"}"#;
    let launch = Launch::of(test, toml, &[("ROCKET_SESSIONS_TABLE", "shop")]);
    launch.starts_and_says(&[said, "table: sessions at memory"]);
    let launch = Launch::of(test, toml, &[("ROCKET_SESSIONS", r#"{table="shop",ttl=3600}"#)]);
    launch.starts_and_says(&["table: shop at memory", "idle timeout: 1 hour", "ANSWERED 200"]);
    assert!(!launch.text.contains("Rocket does not read"), "{}", launch.text);
}

// Endpoints.

#[rocket::async_test]
async fn what_is_configured_is_printed_at_liftoff() {
    if is_child() {
        return launch(app()).await;
    }
    let toml = "[default.sessions]\nendpoint = 'memory'\nabsolute_ttl = '90 days'";
    Launch::of("what_is_configured_is_printed_at_liftoff", toml, &[]).starts_and_says(&[
        "DynamoDB sessions:",
        "table: sessions at memory (Rocket.toml TOML file)",
        "idle timeout: 14 days, absolute timeout: 90 days",
        "cookie: session (path /, same-site lax, this host only, http-only on, secure off: the debug profile; outlives the \
         browser)",
        "caching: private",
        "store deadline: 4500 ms, attempts: 4",
        "ANSWERED 200",
    ]);
}

#[rocket::async_test]
async fn the_banner_says_where_awss_own_variables_lead_and_what_other_kinds_live() {
    if is_child() {
        return launch(app()).await;
    }
    let test = "the_banner_says_where_awss_own_variables_lead_and_what_other_kinds_live";
    let toml =
        "[default.sessions]\nverify = 'off'\nanonymous_ttl = '1 day'\nremember_ttl = '30 days'\ndeadline = '9 ms'\n";
    let access = [("AWS_ACCESS_KEY_ID", "x"), ("AWS_SECRET_ACCESS_KEY", "y"), ("AWS_EC2_METADATA_DISABLED", "true")];
    let with = |more: &[(&'static str, &'static str)]| [&access[..], more].concat();
    let url = ("AWS_ENDPOINT_URL", "http://me:hunter2@127.0.0.1:1");
    let launch = Launch::of(test, toml, &with(&[url, ("AWS_REGION", "eu-west-1")]));
    launch.starts_and_says(&[
        "table: sessions at http://127.0.0.1:1 (from AWS_ENDPOINT_URL), region eu-west-1 (from AWS_REGION)",
        "remembered: idle timeout: 30 days, absolute timeout: none",
        "visitors: idle timeout: 1 day",
    ]);
    assert!(!launch.text.contains("hunter2"), "{}", launch.text);
    let region = format!("{toml}region = 'eu-north-1'");
    let own = ("AWS_ENDPOINT_URL_DYNAMODB", "http://127.0.0.1:2");
    let launch = Launch::of(test, &region, &with(&[url, own]));
    let said = "http://127.0.0.1:2 (from AWS_ENDPOINT_URL_DYNAMODB), region eu-north-1 (the configuration)";
    launch.starts_and_says(&[said]);
    let endpoint = format!("{toml}endpoint = 'http://127.0.0.1:3'\nregion = 'eu-north-1'");
    let launch = Launch::of(test, &endpoint, &with(&[url]));
    launch.starts_and_says(&["http://127.0.0.1:3, region eu-north-1 (the configuration)"]);
}

#[rocket::async_test]
async fn an_embedded_endpoint_outside_the_debug_profile_draws_a_warning() {
    if is_child() {
        return launch(app()).await;
    }
    let test = "an_embedded_endpoint_outside_the_debug_profile_draws_a_warning";
    let toml = "[default.sessions]\nendpoint = 'memory'";
    let said = "sessions.endpoint is memory";
    Launch::of(test, toml, &[("ROCKET_PROFILE", "release")]).starts_and_says(&[said]);
    let debug = Launch::of(test, toml, &[("ROCKET_PROFILE", "debug")]);
    debug.starts_and_says(&["ANSWERED 200"]);
    assert!(!debug.text.contains(said), "{}", debug.text);
}

async fn with_endpoint(endpoint: &str) -> Client {
    let figment = rocket::Config::figment().merge(("log_level", "off")).merge(("sessions.endpoint", endpoint));
    let rocket = rocket::custom(figment).attach(Sessions::fairing()).mount("/", routes![index]);
    Client::untracked(rocket).await.expect("a valid rocket")
}

#[rocket::async_test]
async fn memory_ends_with_its_application_and_a_file_survives_a_restart() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = format!("file:{}", folder.path().join("sessions.db").display());
    for (endpoint, expected) in [("memory", "1"), (file.as_str(), "2")] {
        let client = with_endpoint(endpoint).await;
        let first = client.get("/").dispatch().await;
        ok(&first);
        let id = new_id(&first);
        drop(first);
        client.terminate().await;

        let client = with_endpoint(endpoint).await;
        let second = support::get(&client, "/", &id).await;
        assert_eq!(told(&second).is_none(), expected == "2", "{endpoint}");
        assert_eq!(second.into_string().await.as_deref(), Some(expected), "{endpoint}");
    }
}

#[rocket::async_test]
async fn a_file_whose_folder_is_missing_aborts_the_launch_and_names_the_key() {
    if is_child() {
        return launch(app()).await;
    }
    let test = "a_file_whose_folder_is_missing_aborts_the_launch_and_names_the_key";
    let launch = Launch::of(test, "[default.sessions]\nendpoint = 'file:missing/sessions.db'", &[]);
    launch.aborts_and_says(&["sessions.endpoint", "missing/sessions.db", "create it first"]);
}

#[rocket::async_test]
async fn a_store_that_refuses_connections_is_a_warning_and_requests_answer_503() {
    if is_child() {
        return launch(app()).await;
    }
    let test = "a_store_that_refuses_connections_is_a_warning_and_requests_answer_503";
    for create in [false, true] {
        let toml = format!("[default.sessions]\nendpoint = 'http://127.0.0.1:1'\ncreate_table = {create}");
        let launch = Launch::of(test, &toml, &[]);
        launch.starts_and_says(&["the table `sessions` could not be looked at", "ANSWERED 503"]);
        assert_eq!(launch.text.contains("sessions.create_table"), create, "{}", launch.text);
        assert!(launch.took < Duration::from_secs(10), "{:?}", launch.took);
    }
}

#[rocket::async_test]
async fn a_store_that_never_answers_is_a_warning_within_the_deadline() {
    if is_child() {
        return launch(app()).await;
    }
    let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = silent.local_addr().expect("an address");
    let toml =
        format!("[default.sessions]\nendpoint = 'http://{address}'\ndeadline = '200 ms'\nattempt_timeout = '90 ms'");
    let launch = Launch::of("a_store_that_never_answers_is_a_warning_within_the_deadline", &toml, &[]);
    launch.starts_and_says(&["the table `sessions` could not be looked at", "ANSWERED 503"]);
    assert!(launch.took < Duration::from_secs(4), "{:?}", launch.took);
}

#[rocket::async_test]
async fn aws_without_region_and_credentials_is_a_warning() {
    if is_child() {
        return launch(app()).await;
    }
    let variables = [("AWS_EC2_METADATA_DISABLED", "true")];
    let launch = Launch::of("aws_without_region_and_credentials_is_a_warning", "", &variables);
    launch.starts_and_says(&[
        "the table `sessions` could not be looked at",
        "AWS, no region",
        "no AWS region: set `region`",
    ]);
    assert!(launch.took < Duration::from_secs(10), "{:?}", launch.took);
}

// The table.

async fn starts(bed: &Bed, config: Config) -> bool {
    match Client::untracked(bed.rocket(config, routes![index])).await {
        Ok(client) => sessions(&client).table_status().await.is_ok(),
        Err(error) => {
            assert!(matches!(error.kind(), ErrorKind::FailedFairings(_)), "{error}");
            false
        }
    }
}

/// Creates a table as somebody could by mistake.
async fn create(bed: &Bed, key: &str, ttl: Option<&str>) {
    let attribute = AttributeDefinition::builder().attribute_name(key).attribute_type(ScalarAttributeType::S);
    let schema = KeySchemaElement::builder().attribute_name(key).key_type(KeyType::Hash);
    let create = bed.dynamo.create_table().table_name(&bed.table).billing_mode(BillingMode::PayPerRequest);
    let create = create.attribute_definitions(attribute.build().expect("an attribute"));
    create.key_schema(schema.build().expect("a key")).send().await.expect("the table is created");
    if let Some(ttl) = ttl {
        let on = TimeToLiveSpecification::builder().attribute_name(ttl).enabled(true).build().expect("complete");
        let update = bed.dynamo.update_time_to_live().table_name(&bed.table).time_to_live_specification(on);
        update.send().await.expect("TTL is switched on");
    }
}

#[rocket::async_test]
async fn a_table_that_does_not_fit_aborts_the_launch_only_where_the_configuration_says_so() {
    let tables = [
        (
            None,
            "the table `sessions` does not exist; create it with `create_table = true`, or type: aws dynamodb create-table \
             --table-name sessions --attribute-definitions AttributeName=id,AttributeType=S --key-schema \
             AttributeName=id,KeyType=HASH --billing-mode PAY_PER_REQUEST && aws dynamodb wait table-exists --table-name \
             sessions && aws dynamodb update-time-to-live --table-name sessions --time-to-live-specification \
             Enabled=true,AttributeName=ttl",
        ),
        (Some(("key", Some("ttl"))), "key"),
        (
            Some(("id", None)),
            "is off, so expired sessions are kept and paid for; type: aws dynamodb update-time-to-live --table-name sessions \
             --time-to-live-specification Enabled=true,AttributeName=ttl",
        ),
        (
            Some(("id", Some("expires"))),
            "is on `expires`, so expired sessions are kept; unless others need it, type: aws dynamodb update-time-to-live \
             --table-name sessions --time-to-live-specification Enabled=false,AttributeName=expires && aws dynamodb \
             update-time-to-live",
        ),
        (Some(("id", Some("ttl"))), ""),
    ];
    for (table, problem) in tables {
        let bed = Bed::new();
        if let Some((key, ttl)) = table {
            create(&bed, key, ttl).await;
        }
        let with = |verify| Config { create_table: false, verify, ..bed.config() };
        assert_eq!(starts(&bed, with(Verify::Fail)).await, problem.is_empty(), "{table:?}");
        assert!(starts(&bed, with(Verify::Off)).await && starts(&bed, with(Verify::Warn)).await, "{table:?}");

        let client = bed.client_with(with(Verify::Warn), routes![index]).await;
        let status = sessions(&client).table_status().await.expect("the store answers");
        assert_eq!((status.is_ready(), status.exists), (problem.is_empty(), table.is_some()), "{status:?}");
        let problems = status.problems.join("\n");
        assert!(problems.contains(problem) && problems.is_empty() == problem.is_empty(), "{problems}");
    }
}

#[rocket::async_test]
async fn a_missing_table_is_created_where_the_configuration_says_so_and_is_then_as_it_should_be() {
    let bed = Bed::new();
    let with = |create_table| Config { create_table, verify: Verify::Fail, ..bed.config() };
    assert!(!starts(&bed, with(false)).await);
    assert!(starts(&bed, with(true)).await);
    assert!(starts(&bed, with(true)).await, "a second launch finds it");

    let client = bed.client_with(with(false), routes![index]).await;
    ok(&client.get("/").dispatch().await);
    let described = bed.dynamo.describe_table().table_name(&bed.table).send().await.expect("the store answers");
    let billing = described.table.and_then(|table| table.billing_mode_summary).and_then(|summary| summary.billing_mode);
    assert_eq!(billing, Some(BillingMode::PayPerRequest));
    let without = client.get("/none").dispatch().await;
    assert_eq!(without.status(), Status::NotFound);
}
