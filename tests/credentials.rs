//! Whose credentials sign the requests, and what happens while there are none: over HTTP, with the helpers and services
//! that give credentials in production. AWS's settings are in the environment, which is one a process: an application runs
//! in a process of its own, this binary again, and says how its requests were answered.

mod support;

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures::future::join_all;
use rocket::local::asynchronous::Client;
use rocket::tokio;
use rocket::{get, routes};
use rocket_dynamodb_sessions::{Error, Session, Sessions};
use support::proxy::{Proxy, emulator, fake};
use tokio::process::Command;

/// What the application's process is to do: numbers of requests sent at once, and pauses (`s500`, in milliseconds).
const SCRIPT: &str = "CREDENTIALS_TEST_SCRIPT";

#[get("/")]
fn index(session: Session) -> Result<String, Error> {
    session.update("visits", |n: Option<u64>| n.unwrap_or(0) + 1).map(|n| n.to_string())
}

/// In a process of its own, plays the script and tells the answers; in that of a test, nothing.
#[rocket::async_test]
async fn application() {
    let Ok(script) = std::env::var(SCRIPT) else { return };
    let start = Instant::now();
    let rocket = rocket::build().attach(Sessions::fairing()).mount("/", routes![index]);
    let client = Client::untracked(rocket).await.expect("a valid rocket");
    println!("LAUNCHED {}", start.elapsed().as_millis());
    for step in script.split(' ') {
        if let Some(pause) = step.strip_prefix('s') {
            tokio::time::sleep(Duration::from_millis(pause.parse().expect("milliseconds"))).await;
            continue;
        }
        let requests = (0..step.parse().expect("a number")).map(|_| async {
            let start = Instant::now();
            let code = client.get("/").dispatch().await.status().code;
            (code, start.elapsed().as_millis())
        });
        for (code, took) in join_all(requests).await {
            println!("ANSWER {code} {took}");
        }
    }
}

/// What came of a script.
struct Played {
    text: String,
    launch: u64,
    answers: Vec<(u16, u64)>,
}

impl Played {
    fn failed(&self) -> usize {
        self.answers.iter().filter(|(code, _)| *code != 200).count()
    }

    fn longest(&self) -> u64 {
        self.answers.iter().map(|(_, took)| *took).max().unwrap_or_default()
    }

    /// Says the figures of a scenario, and which runs of a helper there were.
    fn tell(&self, scenario: &str, runs: usize) {
        println!(
            "{scenario}: launch {} ms, {} requests, {} failed, longest answer {} ms, {runs} runs of the helper",
            self.launch,
            self.answers.len(),
            self.failed(),
            self.longest()
        );
    }

    #[track_caller]
    fn says(&self, said: &str) {
        assert!(self.text.contains(said), "not a word of {said:?}:\n{}", self.text);
    }
}

/// Runs the application on this endpoint with nothing of AWS in its environment but what is given. `HOME` and the working
/// directory are the folder.
async fn play(script: &str, toml: &str, folder: &Path, variables: &[(&str, &str)]) -> Played {
    let file = folder.join("Rocket.toml");
    fs::write(&file, format!("[default.sessions]\n{toml}")).expect("a file");
    let mut command = Command::new(std::env::current_exe().expect("a path"));
    command.args(["--exact", "application", "--nocapture"]).current_dir(folder).env_clear().env("HOME", folder);
    command.env("PATH", std::env::var("PATH").expect("a path")).env("ROCKET_CONFIG", &file);
    command.env("ROCKET_CLI_COLORS", "false").env(SCRIPT, script).envs(variables.iter().copied());
    let output = command.output().await.expect("this binary runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
    let number = |text: &str| text.parse::<u64>().expect("a number");
    let launch = text.lines().find_map(|line| line.strip_prefix("LAUNCHED ")).map(number).expect("it launched");
    let answers = text.lines().filter_map(|line| line.strip_prefix("ANSWER ")?.split_once(' '));
    let answers = answers.map(|(code, took)| (code.parse().expect("a status"), number(took))).collect();
    Played { text, launch, answers }
}

/// A folder with a profile whose credential process runs this script, with `$n` the number of its run.
fn with_process(script: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().display();
    let helper = format!(
        "echo run >> '{path}/runs'\nn=$(wc -l < '{path}/runs')\n\
         give() {{ printf '{{\"Version\":1,\"AccessKeyId\":\"KEY%s\",\"SecretAccessKey\":\"s\",\"SessionToken\":\"t\",\"Expiration\":\"%s\"}}' \
         $n $(date -u -d \"+$1 seconds\" +%Y-%m-%dT%H:%M:%SZ); }}\n{script}\n"
    );
    fs::write(folder.path().join("helper.sh"), helper).expect("a file");
    let config = format!("[default]\nregion = eu-west-1\ncredential_process = sh {path}/helper.sh\n");
    fs::write(folder.path().join("config"), config).expect("a file");
    folder
}

fn runs(folder: &Path) -> usize {
    fs::read_to_string(folder.join("runs")).unwrap_or_default().lines().count()
}

fn config_file(folder: &Path) -> String {
    folder.join("config").display().to_string()
}

/// Plays a script with a credential process, on an emulator behind a proxy; tells who signed the requests too.
async fn with_helper(name: &str, helper: &str, script: &str, toml: &str) -> (Played, usize, Vec<String>) {
    let proxy = Proxy::start(emulator().await).await;
    let folder = with_process(helper);
    let toml = format!("endpoint = '{}'\n{toml}", proxy.url());
    let played = play(script, &toml, folder.path(), &[("AWS_CONFIG_FILE", &config_file(folder.path()))]).await;
    let runs = runs(folder.path());
    played.tell(name, runs);
    let mut signed: Vec<_> = proxy.seen().requests.into_iter().map(|(scope, _)| scope).collect();
    signed.dedup();
    (played, runs, signed)
}

// A credential process.

#[rocket::async_test]
async fn a_helper_that_is_slow_from_the_start_runs_once_and_nobody_fails() {
    let (played, runs, signed) =
        with_helper("slow from the start (3 s)", "sleep 3; give 3600", "20 s100 5", "verify = 'off'").await;
    // Slower than an attempt (1.5 s), and within a request's deadline (4.5 s).
    assert_eq!((runs, played.failed()), (1, 0), "{}", played.text);
    assert!(played.launch < 1500, "a launch does not wait for it: {} ms", played.launch);
    assert_eq!(signed, ["KEY1/eu-west-1"]);
    assert!(played.longest() < 4500, "{}", played.text);
}

#[rocket::async_test]
async fn a_slow_helper_does_not_fail_the_requests_that_wait_for_it() {
    let (played, runs, signed) =
        with_helper("slow from the start (3 s), verified", "sleep 3; give 3600", "20 5", "").await;
    assert_eq!((runs, played.failed()), (1, 0), "{}", played.text);
    assert!(played.launch < 9000, "{}", played.launch);
    assert_eq!(signed, ["KEY1/eu-west-1"]);
}

#[rocket::async_test]
async fn a_helper_slower_than_a_deadline_is_not_run_for_each_request() {
    let toml = "verify = 'off'\ndeadline = '1 s'\nattempt_timeout = '400 ms'";
    let (played, runs, _) =
        with_helper("slower than two deadlines (3 s, deadline 1 s)", "sleep 3; give 3600", "5 5 s1500 5", toml).await;
    assert_eq!(runs, 1);
    assert!(played.longest() < 1500, "{}", played.longest());
    played.says("the AWS credentials are still being loaded");
    assert_eq!(
        played.answers.iter().map(|(code, _)| *code).collect::<Vec<_>>(),
        [[503; 5], [503; 5], [200; 5]].concat()
    );
}

#[rocket::async_test]
async fn a_helper_that_never_ends_does_not_keep_the_application_from_starting() {
    let toml = "create_table = true\ndeadline = '1 s'\nattempt_timeout = '400 ms'";
    let (played, runs, _) = with_helper("never ending, deadline 1 s", "exec sleep 30", "5 5", toml).await;
    assert_eq!((runs, played.failed()), (1, 10));
    assert!(played.launch < 6500, "{} ms", played.launch);
    assert!(played.longest() < 1500, "{} ms", played.longest());
    played.says("sessions.create_table: ");
}

#[rocket::async_test]
async fn a_helper_that_is_slow_at_renewal_keeps_nobody_waiting() {
    let helper = "[ $n -gt 1 ] && sleep 2; give 12";
    let script = ["1"].into_iter().chain(std::iter::repeat_n("s250 2", 60)).collect::<Vec<_>>().join(" ");
    let (played, runs, signed) = with_helper("slow at renewal (2 s, each 12 s)", helper, &script, "").await;
    assert_eq!(played.failed(), 0, "{}", played.text);
    assert!((2..=3).contains(&runs), "{runs}");
    assert!(signed.len() >= 2 && signed[0] == "KEY1/eu-west-1" && signed[1] == "KEY2/eu-west-1", "{signed:?}");
    let longest = played.answers.iter().skip(1).map(|(_, took)| *took).max().unwrap_or_default();
    assert!(longest < 1000, "{longest} ms: the old ones are used meanwhile");
}

#[rocket::async_test]
async fn an_idle_application_renews_too() {
    let (played, runs, _) =
        with_helper("idle over the end (12 s, renewal 2 s)", "[ $n -gt 1 ] && sleep 2; give 12", "1 s14000 1", "")
            .await;
    assert_eq!(played.failed(), 0, "{}", played.text);
    assert_eq!(runs, 2);
    assert!(played.answers[1].1 < 1000, "the visitor after the pause does not wait: {:?}", played.answers);
}

#[rocket::async_test]
async fn a_helper_that_fails_once_fails_nobody() {
    let (played, runs, _) = with_helper("failing once", "[ $n = 1 ] && exit 1; give 3600", "20", "").await;
    assert_eq!((runs, played.failed()), (2, 0), "{}", played.text);
}

#[rocket::async_test]
async fn a_renewal_that_fails_fails_nobody_while_the_old_ones_are_valid() {
    let helper = "[ $n = 1 ] && { give 12; exit; }; [ $n -lt 4 ] && { echo broken >&2; exit 1; }; give 3600";
    let script = ["1"].into_iter().chain(std::iter::repeat_n("s250 2", 60)).collect::<Vec<_>>().join(" ");
    let (played, runs, signed) = with_helper("failing at renewal, twice", helper, &script, "").await;
    assert_eq!((runs, played.failed()), (4, 0), "{}", played.text);
    assert_eq!(signed, ["KEY1/eu-west-1", "KEY4/eu-west-1"]);
    played.says("the AWS credentials could not be renewed, the old ones are still valid");
}

#[rocket::async_test]
async fn a_helper_that_fails_for_good_is_answered_at_once_and_told_to_the_log() {
    let (played, runs, signed) =
        with_helper("failing for good", "echo 'the vault is sealed' >&2; exit 3", "20 s200 20 s200 20 s6000 20", "")
            .await;
    assert_eq!(played.failed(), 80);
    assert!(played.longest() < 500, "{} ms", played.longest());
    assert!(played.launch < 3000, "{} ms", played.launch);
    // Two tries at launch, and again after 1, 2 and 4 s: not for each request.
    assert!(runs <= 10, "{runs}");
    assert_eq!(signed, [""; 0]);
    played.says("the AWS credentials could not be loaded: mend what gives them");
    played.says("the vault is sealed");
    assert_eq!(played.text.matches("Error: the AWS credentials could not be loaded").count(), 1, "{}", played.text);
}

#[rocket::async_test]
async fn a_helper_that_is_mended_is_found_without_a_restart() {
    let (played, runs, _) =
        with_helper("failing until it is mended", "[ $n -lt 4 ] && exit 1; give 3600", "1 s1500 1 s2500 5", "").await;
    let codes: Vec<_> = played.answers.iter().map(|(code, _)| *code).collect();
    assert_eq!((codes[0], &codes[2..], runs), (503, &[200; 5][..], 4), "{codes:?}");
    played.says("the AWS credentials are loaded again");
}

// No credentials.

#[rocket::async_test]
async fn no_credentials_behind_a_host_name_are_answered_at_once_with_what_to_mend() {
    let folder = tempfile::tempdir().expect("a folder");
    let toml = "endpoint = 'http://dynamodb.invalid:8000'\nregion = 'eu-west-1'";
    let played = play("5 5", toml, folder.path(), &[("AWS_EC2_METADATA_DISABLED", "true")]).await;
    played.tell("no credentials", 0);
    assert_eq!(played.failed(), 10);
    assert!(played.longest() < 300, "{} ms", played.longest());
    played.says("no AWS credentials: set AWS_ACCESS_KEY_ID");
    played.says("run `aws sso login`");
}

#[rocket::async_test]
async fn no_region_is_answered_at_once_with_what_to_mend() {
    let folder = tempfile::tempdir().expect("a folder");
    let played = play("5", "", folder.path(), &[("AWS_EC2_METADATA_DISABLED", "true")]).await;
    played.tell("no region", 0);
    assert_eq!(played.failed(), 5);
    assert!(played.longest() < 300, "{} ms", played.longest());
    played
        .says("no AWS region: set `region` under sessions in Rocket.toml, AWS_REGION, or `region` in the AWS profile");
}

#[rocket::async_test]
async fn an_expired_sso_sign_in_is_answered_at_once_with_what_to_type() {
    let folder = tempfile::tempdir().expect("a folder");
    let config = "[profile dev]\nregion = eu-west-1\nsso_session = dev\nsso_account_id = 123456789012\n\
                  sso_role_name = reader\n[sso-session dev]\nsso_region = eu-west-1\n\
                  sso_start_url = https://example.awsapps.com/start\n";
    fs::write(folder.path().join("config"), config).expect("a file");
    let cache = folder.path().join(".aws/sso/cache");
    fs::create_dir_all(&cache).expect("a folder");
    // The file is named by SHA-1 of "dev".
    let token = r#"{"accessToken": "t", "expiresAt": "2020-01-01T00:00:00Z", "region": "eu-west-1",
                    "startUrl": "https://example.awsapps.com/start"}"#;
    fs::write(cache.join("34c6fceca75e456f25e7e99531e2425c6c1de443.json"), token).expect("a file");
    let config = config_file(folder.path());
    let variables =
        [("AWS_CONFIG_FILE", config.as_str()), ("AWS_PROFILE", "dev"), ("AWS_EC2_METADATA_DISABLED", "true")];
    let played = play("5 5", "endpoint = 'http://dynamodb.invalid:8000'", folder.path(), &variables).await;
    played.tell("expired SSO", 0);
    assert_eq!(played.failed(), 10);
    assert!(played.longest() < 700, "{} ms", played.longest());
    played.says("no AWS credentials by SSO: run `aws sso login --profile dev`");
    played.says("has expired");
}

#[rocket::async_test]
async fn credentials_that_dynamodb_refuses_are_answered_at_once_and_looked_up_again() {
    let refused = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&refused);
    let dynamodb = fake(move |_, _| {
        count.fetch_add(1, Ordering::Relaxed);
        (400, r#"{"__type":"com.amazon.coral.service#ExpiredTokenException","message":"The security token included in the request is expired"}"#.into())
    })
    .await;
    let folder = with_process("give 3600");
    let toml = format!("endpoint = 'http://{dynamodb}'\nverify = 'off'");
    let config = config_file(folder.path());
    let played = play("1 s11000 5 5", &toml, folder.path(), &[("AWS_CONFIG_FILE", &config)]).await;
    let runs = runs(folder.path());
    played.tell("refused by DynamoDB", runs);
    assert_eq!(played.failed(), 11);
    assert!(played.longest() < 1000, "{} ms", played.longest());
    assert_eq!(runs, 2, "at launch, and once for those that were refused");
    played.says("AWS refuses the credentials");
    println!("  {} calls for 11 requests and the launch", refused.load(Ordering::Relaxed));
}

#[rocket::async_test]
async fn credentials_rotated_in_a_file_are_taken_up_without_a_failure() {
    let known = Arc::new(Mutex::new("OLD".to_owned()));
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("credentials");
    let write = |key: &str| {
        fs::write(&file, format!("[default]\naws_access_key_id = {key}\naws_secret_access_key = s\n")).expect("a file");
    };
    write("OLD");
    let expected = Arc::clone(&known);
    let dynamodb = fake(move |head, _| {
        if head.contains(&format!("Credential={}/", expected.lock().expect("no panic"))) {
            return (200, "{}".into());
        }
        (400, r#"{"__type":"com.amazon.coral.service#UnrecognizedClientException","message":"The security token included in the request is invalid."}"#.into())
    })
    .await;
    let toml = format!("endpoint = 'http://{dynamodb}'\nverify = 'off'\nregion = 'eu-west-1'");
    let file_name = file.display().to_string();
    let variables = [("AWS_SHARED_CREDENTIALS_FILE", file_name.as_str())];
    let playing = play("2 s11000 2", &toml, folder.path(), &variables);
    let rotating = async {
        tokio::time::sleep(Duration::from_secs(6)).await;
        *known.lock().expect("no panic") = "NEW".into();
        write("NEW");
    };
    let (played, ()) = tokio::join!(playing, rotating);
    played.tell("rotated in a file", 0);
    assert_eq!(played.failed(), 0, "{}", played.text);
}

// What a container, a machine and a web identity give.

fn json_credentials(key: &str) -> String {
    format!(
        r#"{{"Code":"Success","Type":"AWS-HMAC","AccessKeyId":"{key}","SecretAccessKey":"s","Token":"t","Expiration":"2099-01-01T00:00:00Z","LastUpdated":"2020-01-01T00:00:00Z"}}"#
    )
}

#[rocket::async_test]
async fn a_container_gives_its_role_once() {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let service = fake(move |_, _| {
        count.fetch_add(1, Ordering::Relaxed);
        std::thread::sleep(Duration::from_millis(1800));
        (200, json_credentials("CONTAINER"))
    })
    .await;
    let proxy = Proxy::start(emulator().await).await;
    let folder = tempfile::tempdir().expect("a folder");
    let url = format!("http://{service}/role");
    let variables = [("AWS_CONTAINER_CREDENTIALS_FULL_URI", url.as_str()), ("AWS_DEFAULT_REGION", "eu-central-1")];
    let played = play("20 5", &format!("endpoint = '{}'", proxy.url()), folder.path(), &variables).await;
    played.tell("container (1.8 s)", asked.load(Ordering::Relaxed));
    assert_eq!((played.failed(), asked.load(Ordering::Relaxed)), (0, 1), "{}", played.text);
    assert!(proxy.seen().requests.iter().all(|(scope, _)| scope == "CONTAINER/eu-central-1"), "{:?}", proxy.seen());
}

#[rocket::async_test]
async fn a_machine_gives_its_role_and_region_and_is_not_asked_for_a_server_on_this_machine() {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&asked);
    let metadata = fake(move |line, _| {
        let path = line.split(' ').nth(1).unwrap_or_default().to_owned();
        log.lock().expect("no panic").push(path.clone());
        match path.as_str() {
            "/latest/api/token" => (200, "token".into()),
            "/latest/meta-data/placement/region" => (200, "ap-south-1".into()),
            "/latest/meta-data/iam/security-credentials/" => (200, "role".into()),
            "/latest/meta-data/iam/security-credentials/role" => (200, json_credentials("MACHINE")),
            _ => (404, String::new()),
        }
    })
    .await;
    // 0.0.0.0 leads to this machine, and does not look so.
    for (host, signed) in [("0.0.0.0", "MACHINE/ap-south-1"), ("127.0.0.1", "local/us-east-1")] {
        asked.lock().expect("no panic").clear();
        let proxy = Proxy::on("0.0.0.0", emulator().await).await;
        let folder = tempfile::tempdir().expect("a folder");
        let url = format!("http://{metadata}");
        let variables = [("AWS_EC2_METADATA_SERVICE_ENDPOINT", url.as_str())];
        let toml = format!("endpoint = 'http://{host}:{}'", proxy.port());
        let played = play("10 5", &toml, folder.path(), &variables).await;
        let paths = asked.lock().expect("no panic").clone();
        let roles = paths.iter().filter(|path| path.ends_with("/role")).count();
        played.tell(&format!("machine, endpoint {host}"), roles);
        assert_eq!(played.failed(), 0, "{}", played.text);
        assert!(proxy.seen().requests.iter().all(|(scope, _)| scope == signed), "{:?}", proxy.seen().requests);
        assert_eq!(roles, usize::from(host == "0.0.0.0"), "{paths:?}");
        assert!(host == "0.0.0.0" || paths.is_empty(), "{paths:?}");
    }
}

#[rocket::async_test]
async fn a_web_identity_is_exchanged_at_sts_once() {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let sts = fake(move |_, body| {
        count.fetch_add(1, Ordering::Relaxed);
        assert!(body.contains("Action=AssumeRoleWithWebIdentity") && body.contains("WebIdentityToken=jwt"), "{body}");
        let xml = "<AssumeRoleWithWebIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">\
                   <AssumeRoleWithWebIdentityResult><Credentials><AccessKeyId>WEB</AccessKeyId>\
                   <SecretAccessKey>s</SecretAccessKey><SessionToken>t</SessionToken>\
                   <Expiration>2099-01-01T00:00:00Z</Expiration></Credentials></AssumeRoleWithWebIdentityResult>\
                   <ResponseMetadata><RequestId>r</RequestId></ResponseMetadata></AssumeRoleWithWebIdentityResponse>";
        (200, xml.into())
    })
    .await;
    let proxy = Proxy::start(emulator().await).await;
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("token"), "jwt").expect("a file");
    let (token, url) = (folder.path().join("token").display().to_string(), format!("http://{sts}"));
    let variables = [
        ("AWS_WEB_IDENTITY_TOKEN_FILE", token.as_str()),
        ("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/web"),
        ("AWS_ENDPOINT_URL_STS", url.as_str()),
        ("AWS_REGION", "eu-north-1"),
    ];
    let played = play("20 5", &format!("endpoint = '{}'", proxy.url()), folder.path(), &variables).await;
    played.tell("web identity", asked.load(Ordering::Relaxed));
    assert_eq!((played.failed(), asked.load(Ordering::Relaxed)), (0, 1), "{}", played.text);
    assert!(proxy.seen().requests.iter().all(|(scope, _)| scope == "WEB/eu-north-1"), "{:?}", proxy.seen());
}

#[rocket::async_test]
async fn a_web_identity_that_sts_refuses_is_told() {
    let sts = fake(|_, _| {
        let xml = "<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><Error><Type>Sender</Type>\
                   <Code>AccessDenied</Code><Message>Not authorized to perform sts:AssumeRoleWithWebIdentity</Message>\
                   </Error><RequestId>r</RequestId></ErrorResponse>";
        (403, xml.into())
    })
    .await;
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("token"), "jwt").expect("a file");
    let (token, url) = (folder.path().join("token").display().to_string(), format!("http://{sts}"));
    let variables = [
        ("AWS_WEB_IDENTITY_TOKEN_FILE", token.as_str()),
        ("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/web"),
        ("AWS_ENDPOINT_URL_STS", url.as_str()),
        ("AWS_REGION", "eu-north-1"),
    ];
    let played = play("5 5", "endpoint = 'http://dynamodb.invalid'", folder.path(), &variables).await;
    played.tell("web identity refused", 0);
    assert_eq!(played.failed(), 10);
    assert!(played.longest() < 700, "{} ms", played.longest());
    played.says("Not authorized to perform sts:AssumeRoleWithWebIdentity");
}

// A server on this machine.

/// Variables, lines of Rocket.toml, and what follows from them.
type Case<'a> = (Vec<(&'a str, &'a str)>, &'a str, &'a str);

#[rocket::async_test]
async fn a_server_on_this_machine_gets_what_the_chain_has_and_invented_ones_only_where_it_has_none() {
    let folder = tempfile::tempdir().expect("a folder");
    let config = "[profile shop]\nregion = eu-west-3\naws_access_key_id = SHOP\naws_secret_access_key = s\n\
                  [profile empty]\nregion = eu-west-2\n";
    fs::write(folder.path().join("config"), config).expect("a file");
    let file = config_file(folder.path());
    let file = ("AWS_CONFIG_FILE", file.as_str());
    let keys = [("AWS_ACCESS_KEY_ID", "ENV"), ("AWS_SECRET_ACCESS_KEY", "s")];
    let cases: [Case<'_>; 7] = [
        (vec![], "", "local/us-east-1"),
        (vec![("AWS_DEFAULT_REGION", "sa-east-1")], "", "local/sa-east-1"),
        (vec![("AWS_REGION", "ca-central-1"), keys[0], keys[1]], "", "ENV/ca-central-1"),
        (vec![file, ("AWS_PROFILE", "shop")], "", "SHOP/eu-west-3"),
        (vec![file, ("AWS_PROFILE", "empty")], "", "local/eu-west-2"),
        (vec![file, ("AWS_PROFILE", "shop")], "region = 'us-west-2'", "SHOP/us-west-2"),
        (
            vec![("AWS_REGION", "ca-central-1")],
            "table = 'arn:aws:dynamodb:eu-west-1:123456789012:table/sessions'",
            "local/eu-west-1",
        ),
    ];
    for (variables, toml, signed) in cases {
        let proxy = Proxy::start(emulator().await).await;
        let toml = format!("endpoint = '{}'\nverify = 'off'\n{toml}", proxy.url());
        play("1", &toml, folder.path(), &variables).await;
        let seen = proxy.seen().requests;
        assert!(!seen.is_empty() && seen.iter().all(|(scope, _)| scope == signed), "{variables:?}: {seen:?}");
    }
}

#[rocket::async_test]
async fn the_launch_says_where_the_client_leads_and_who_has_said_so() {
    let folder = tempfile::tempdir().expect("a folder");
    let config = "[default]\nregion = eu-west-3\nservices = here\n[services here]\ndynamodb =\n  endpoint_url = http://127.0.0.1:9\n";
    fs::write(folder.path().join("config"), config).expect("a file");
    let file = config_file(folder.path());
    let cases: [Case<'_>; 5] = [
        (
            vec![("AWS_ENDPOINT_URL", "http://127.0.0.1:9")],
            "",
            "http://127.0.0.1:9 (from AWS_ENDPOINT_URL), region us-east-1 (invented)",
        ),
        (
            vec![
                ("AWS_ENDPOINT_URL_DYNAMODB", "http://127.0.0.1:9"),
                ("AWS_ENDPOINT_URL", "http://127.0.0.1:8"),
                ("AWS_REGION", "eu-west-1"),
            ],
            "",
            "http://127.0.0.1:9 (from AWS_ENDPOINT_URL_DYNAMODB), region eu-west-1 (from AWS_REGION)",
        ),
        (
            vec![("AWS_CONFIG_FILE", &file)],
            "",
            "http://127.0.0.1:9 (from the AWS profile), region eu-west-3 (from the AWS profile)",
        ),
        (
            vec![("AWS_ENDPOINT_URL", "http://127.0.0.1:8")],
            "endpoint = 'http://127.0.0.1:9'",
            "at http://127.0.0.1:9, region us-east-1 (invented)",
        ),
        (
            vec![
                ("AWS_ENDPOINT_URL", "http://127.0.0.1:9"),
                ("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true"),
                ("AWS_ACCESS_KEY_ID", "x"),
                ("AWS_SECRET_ACCESS_KEY", "x"),
                ("AWS_REGION", "eu-west-1"),
            ],
            "verify = 'off'\ndeadline = '200 ms'",
            "at AWS, region eu-west-1 (from AWS_REGION)",
        ),
    ];
    for (variables, toml, said) in cases {
        // The launch alone, as a server, prints the line at liftoff.
        let played = play("1", toml, folder.path(), &variables).await;
        played.says(said);
    }
}
