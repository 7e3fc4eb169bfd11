//! The look at the table when the application ignites (`verify`): what is found, what it says, and whether it starts.

mod support;

use std::time::Duration;

use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType, TimeToLiveSpecification,
};
use log::Level;
use rocket::error::ErrorKind;
use rocket::local::asynchronous::Client;
use rocket::{get, routes};
use rocket_dynamodb_sessions::testing::{Effect, On};
use rocket_dynamodb_sessions::{Config, Error, Session, TableStatus, Verify};
use support::{Bed, endpoint, logs, new_id, ok, sessions};
use tokio::time::{Instant, timeout};

const NONE: [&str; 0] = [];

#[get("/bump")]
fn bump(session: Session) -> Result<String, Error> {
    session.update("n", |n: Option<u64>| n.unwrap_or(0) + 1).map(|n| n.to_string())
}

/// Creates the table of a bed, with the hash key first, and TTL on an attribute or not at all.
async fn create(bed: &Bed, keys: &[(&str, ScalarAttributeType)], ttl: Option<&str>) {
    let mut create = bed.dynamo.create_table().table_name(&bed.table).billing_mode(BillingMode::PayPerRequest);
    for ((name, kind), role) in keys.iter().zip([KeyType::Hash, KeyType::Range]) {
        let attribute = AttributeDefinition::builder().attribute_name(*name).attribute_type(kind.clone());
        let key = KeySchemaElement::builder().attribute_name(*name).key_type(role);
        create = create.attribute_definitions(attribute.build().expect("a name and a type"));
        create = create.key_schema(key.build().expect("a name and a role"));
    }
    create.send().await.expect("the table is created");
    if let Some(name) = ttl {
        let on = TimeToLiveSpecification::builder().attribute_name(name).enabled(true).build().expect("a name");
        let update = bed.dynamo.update_time_to_live().table_name(&bed.table).time_to_live_specification(on);
        update.send().await.expect("TTL is switched on");
    }
}

const GOOD: &[(&str, ScalarAttributeType)] = &[("id", ScalarAttributeType::S)];

/// Launches an application that creates no table; `None` where that is aborted.
async fn launch(bed: &Bed, verify: Verify) -> Option<Client> {
    launch_with(bed, Config { create_table: false, verify, ..bed.config() }).await
}

async fn launch_with(bed: &Bed, config: Config) -> Option<Client> {
    match Client::untracked(bed.rocket(config, routes![bump])).await {
        Ok(client) => Some(client),
        Err(error) => {
            let ErrorKind::FailedFairings(failed) = error.kind() else { panic!("{error}") };
            assert_eq!(failed.iter().map(|info| info.name).collect::<Vec<_>>(), ["DynamoDB Sessions"]);
            None
        }
    }
}

const ON: &str = "--time-to-live-specification Enabled=true,AttributeName=ttl";

/// What the commands say of the region: that of the client, where it is a server's.
fn region() -> &'static str {
    if support::endpoint().is_some() { " --region us-east-1" } else { "" }
}

async fn status(client: &Client) -> TableStatus {
    sessions(client).table_status().await.expect("the store answers")
}

/// Checks what each `verify` makes of a table with this problem.
async fn assert_problem(bed: &Bed, problem: &str) {
    logs::catch();
    let client = launch(bed, Verify::Off).await.expect("nobody looks");
    assert_eq!((logs::here(Level::Warn), logs::here(Level::Error)), (vec![], vec![]));
    let status = status(&client).await;
    assert_eq!((status.problems.as_slice(), status.is_ready()), ([problem.to_owned()].as_slice(), false));

    logs::catch();
    launch(bed, Verify::Warn).await.expect("a warning is no refusal to start");
    assert_eq!((logs::here(Level::Warn), logs::here(Level::Error)), (vec![problem.to_owned()], vec![]));

    logs::catch();
    assert!(launch(bed, Verify::Fail).await.is_none(), "the launch is aborted");
    let error = format!("{problem} (sessions.verify = \"fail\")");
    assert_eq!((logs::here(Level::Warn), logs::here(Level::Error)), (vec![], vec![error]));
}

#[tokio::test]
async fn a_table_as_it_should_be_is_not_mentioned() {
    logs::catch();
    for verify in [Verify::Off, Verify::Warn, Verify::Fail] {
        let bed = Bed::new();
        create(&bed, GOOD, Some("ttl")).await;
        let client = launch(&bed, verify).await.expect("nothing is wrong");
        let status = status(&client).await;
        assert!(status.exists && status.is_ready() && status.notes.is_empty(), "{status:?}");
        new_id(&client.get("/bump").dispatch().await);
    }
    assert_eq!((logs::here(Level::Warn), logs::here(Level::Error)), (vec![], vec![]));
}

#[tokio::test]
async fn with_verify_off_the_table_is_not_looked_at() {
    logs::catch();
    let bed = Bed::new();
    bed.faults.reset_counts();
    let rocket = bed.rocket(Config { create_table: false, verify: Verify::Off, ..bed.config() }, routes![]);
    let _client = Client::untracked(rocket).await.expect("a valid rocket");
    assert_eq!(bed.faults.calls(), NONE);
}

#[tokio::test]
async fn a_missing_table_is_told_with_both_ways_to_create_it() {
    let bed = Bed::new();
    let problem = format!(
        "the table `{0}` does not exist; create it with `create_table = true`, or type: aws dynamodb create-table --table-name \
         {0} --attribute-definitions AttributeName=id,AttributeType=S --key-schema AttributeName=id,KeyType=HASH \
         --billing-mode PAY_PER_REQUEST{1} && aws dynamodb wait table-exists --table-name {0}{1} && aws dynamodb \
         update-time-to-live --table-name {0} {ON}{1}",
        bed.table,
        region()
    );
    assert_problem(&bed, &problem).await;
    let client = launch(&bed, Verify::Off).await.expect("nobody looks");
    assert!(!status(&client).await.exists);
}

#[tokio::test]
async fn a_key_of_another_name_type_or_shape_is_told() {
    use ScalarAttributeType::{B, N, S};

    let keys: [(&[_], _); 5] = [
        (&[("session", S)], "`session` (S, HASH)"),
        (&[("id", N)], "`id` (N, HASH)"),
        (&[("id", B)], "`id` (B, HASH)"),
        (&[("id", S), ("at", N)], "`id` (S, HASH), `at` (N, RANGE)"),
        (&[("user", S), ("id", S)], "`user` (S, HASH), `id` (S, RANGE)"),
    ];
    for (keys, said) in keys {
        let bed = Bed::new();
        create(&bed, keys, Some("ttl")).await;
        let problem = format!(
            "the table `{}` has the key {said}, sessions need the string hash key `id` alone; name another table",
            bed.table
        );
        assert_problem(&bed, &problem).await;
    }
}

#[tokio::test]
async fn a_ttl_that_is_off_or_on_another_attribute_is_told() {
    let bed = Bed::new();
    create(&bed, GOOD, None).await;
    let problem = format!(
        "the TTL of the table `{0}` is off, so expired sessions are kept and paid for; type: aws dynamodb \
         update-time-to-live --table-name {0} {ON}{1}",
        bed.table,
        region()
    );
    assert_problem(&bed, &problem).await;

    let bed = Bed::new();
    create(&bed, GOOD, Some("expires")).await;
    let problem = format!(
        "the TTL of the table `{0}` is on `expires`, so expired sessions are kept; unless others need it, type: aws dynamodb \
         update-time-to-live --table-name {0} --time-to-live-specification Enabled=false,AttributeName=expires{1} && aws \
         dynamodb update-time-to-live --table-name {0} {ON}{1} (DynamoDB may want an hour between them)",
        bed.table,
        region()
    );
    assert_problem(&bed, &problem).await;
}

#[tokio::test]
async fn several_problems_are_told_at_once() {
    logs::catch();
    let bed = Bed::new();
    create(&bed, &[("session", ScalarAttributeType::S)], None).await;
    assert!(launch(&bed, Verify::Fail).await.is_none());
    assert_eq!(logs::here(Level::Error).len(), 2, "{:?}", logs::here(Level::Error));
}

#[tokio::test]
async fn no_permission_to_look_is_a_note_and_no_failure() {
    let key = "no permission for dynamodb:DescribeTable: its key was not looked at";
    let ttl = "no permission for dynamodb:DescribeTimeToLive: its TTL was not looked at";
    let cases: [(&[&str], &[&str]); 3] = [
        (&["DescribeTable"], &[key]),
        (&["DescribeTimeToLive"], &[ttl]),
        (&["DescribeTable", "DescribeTimeToLive"], &[key, ttl]),
    ];
    for (operations, notes) in cases {
        for verify in [Verify::Warn, Verify::Fail] {
            logs::catch();
            let bed = Bed::new();
            create(&bed, GOOD, Some("ttl")).await;
            for operation in operations {
                bed.faults.inject(On::operation(*operation).always(), Effect::AccessDenied);
            }
            let client = launch(&bed, verify).await.expect("a note is no failure");
            assert_eq!((logs::here(Level::Warn), logs::here(Level::Error)), (vec![], vec![]));
            let told = logs::here(Level::Info);
            assert_eq!(told.iter().filter(|line| line.starts_with("no permission")).collect::<Vec<_>>(), notes);
            let status = status(&client).await;
            assert!(status.is_ready() && status.notes == notes, "{status:?}");
            new_id(&client.get("/bump").dispatch().await);
        }
    }
}

#[tokio::test]
async fn what_could_be_looked_at_counts_also_where_the_rest_could_not() {
    logs::catch();
    let bed = Bed::new();
    create(&bed, GOOD, None).await;
    bed.faults.inject(On::operation("DescribeTable").always(), Effect::AccessDenied);
    assert!(launch(&bed, Verify::Fail).await.is_none());
    assert_eq!(logs::here(Level::Error).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_cannot_be_reached_is_a_warning_and_the_application_starts() {
    if endpoint().is_some() {
        eprintln!("left out: tokio's clock is paused, and a server of another process goes by the real one");
        return;
    }
    let said = "could not be looked at: the session store is unavailable (look at the table); try again later: ";
    let troubles = [Effect::Reset, Effect::Status(500), Effect::Throttle, Effect::Garbage, Effect::Hang];
    for trouble in troubles {
        for verify in [Verify::Off, Verify::Warn, Verify::Fail] {
            logs::catch();
            let bed = Bed::new();
            create(&bed, GOOD, Some("ttl")).await;
            bed.faults.inject(On::any().always(), trouble.clone());
            let start = Instant::now();
            let client = timeout(Duration::from_secs(600), launch(&bed, verify)).await.expect("it ends");
            let client = client.expect("it starts");
            assert!(start.elapsed() <= Duration::from_millis(5100), "{trouble:?} took {:?}", start.elapsed());
            let warnings = logs::here(Level::Warn);
            match verify {
                Verify::Off => assert_eq!(warnings, NONE),
                _ => {
                    let [warning] = &warnings[..] else { panic!("{warnings:?}") };
                    assert!(warning.starts_with(&format!("the table `{}` {said}", bed.table)), "{warning}");
                }
            }
            assert_eq!(logs::here(Level::Error), NONE);

            // The store comes back, and the application works.
            bed.faults.clear();
            ok(&client.get("/bump").dispatch().await);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_table_that_cannot_be_created_is_a_warning_and_the_application_starts() {
    if endpoint().is_some() {
        eprintln!("left out: tokio's clock is paused, and a server of another process goes by the real one");
        return;
    }
    for trouble in [Effect::Reset, Effect::Hang, Effect::AccessDenied] {
        logs::catch();
        let bed = Bed::new();
        bed.faults.inject(On::any().always(), trouble.clone());
        let launch = launch_with(&bed, Config { verify: Verify::Fail, ..bed.config() });
        let start = Instant::now();
        let client = timeout(Duration::from_secs(600), launch).await.expect("it ends").expect("it starts");
        assert!(start.elapsed() <= Duration::from_secs(11), "{trouble:?} took {:?}", start.elapsed());
        let warnings = logs::here(Level::Warn);
        assert!(warnings[0].starts_with("sessions.create_table: "), "{trouble:?}: {warnings:?}");
        assert_eq!(logs::here(Level::Error), NONE);

        bed.faults.clear();
        sessions(&client).create_table().await.expect("the store answers");
        assert!(status(&client).await.is_ready());
    }
}

#[tokio::test]
async fn create_table_makes_a_table_that_passes_and_mends_a_ttl_that_is_off() {
    logs::catch();
    let bed = Bed::new();
    launch_with(&bed, Config { verify: Verify::Fail, ..bed.config() }).await.expect("nothing is wrong");

    let bed = Bed::new();
    create(&bed, GOOD, None).await;
    launch_with(&bed, Config { verify: Verify::Fail, ..bed.config() }).await.expect("nothing is wrong");
    assert_eq!((logs::here(Level::Warn), logs::here(Level::Error)), (vec![], vec![]));
}

#[tokio::test]
async fn nodes_that_start_together_create_one_table_together() {
    logs::catch();
    let bed = Bed::new();
    let start = || launch_with(&bed, Config { verify: Verify::Fail, ..bed.config() });
    let clients = futures::future::join_all((0..4).map(|_| start())).await;
    assert!(clients.iter().all(Option::is_some));
    assert_eq!((logs::here(Level::Warn), logs::here(Level::Error)), (vec![], vec![]));
}

#[tokio::test]
async fn a_look_that_fails_is_an_error_to_who_asked_for_it() {
    logs::catch();
    let bed = Bed::new();
    let client = launch(&bed, Verify::Off).await.expect("nobody looks");
    bed.faults.inject(On::any().always(), Effect::Exception("ValidationException"));
    let error = sessions(&client).table_status().await.expect_err("the store fails");
    assert!(matches!(error, Error::Rejected { action: "look at the table", .. }), "{error:?}");
}
