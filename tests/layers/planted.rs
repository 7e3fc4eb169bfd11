//! Planted violations: each kind is caught, with its file and line, and what only looks like one is not.

use std::fs;

use crate::check::violations;

/// A small house without a fault.
const HOUSE: [(&str, &str); 12] = [
    (
        "lib.rs",
        "mod config; mod domain; mod error; mod operator; mod session; mod store; mod web; pub mod testing;
         pub use crate::session::Session; pub use crate::error::Error;",
    ),
    ("error.rs", "pub enum Error { Conflict }"),
    ("config.rs", "mod table; pub use table::Table; use figment::Figment; fn f(_: Figment) {}"),
    ("config/table.rs", "use serde::Serialize; pub struct Table;"),
    ("domain.rs", "pub(crate) mod log; pub(crate) mod id;"),
    ("domain/log.rs", "use crate::domain::id::Id; use crate::Error; pub(crate) struct Log(Id);"),
    ("domain/id.rs", "pub(crate) struct Id(uuid::Uuid);"),
    ("store.rs", "mod row; pub(crate) use row::{Row, Reader as Look}; fn f(client: aws_sdk_dynamodb::Client) {}"),
    ("store/row.rs", "use crate::domain::log::Log; use std::time::Instant; pub(crate) struct Row(Log); struct Reader;"),
    ("session.rs", "use crate::store::{Look, Row}; pub struct Session(Row, Look);"),
    ("operator.rs", "mod sessions; use aws_sdk_dynamodb::Client; fn f(config: &crate::config::Table) {}"),
    ("web.rs", "use rocket::http::Status; #[cfg(any(test, feature = \"testing\"))] fn f(_: &crate::testing::Clock) {}"),
];
const REST: [(&str, &str); 3] = [
    ("operator/sessions.rs", "use crate::session::Session; fn now() { chrono::Utc::now(); }"),
    ("testing.rs", "mod clock; pub use clock::Clock; use crate::web;"),
    ("testing/clock.rs", "pub struct Clock(std::time::SystemTime);"),
];

fn owned(file: &str, text: &str) -> (String, String) {
    (file.to_owned(), text.to_owned())
}

/// What is wrong with the house when files are put into it, in the place of their namesakes.
fn planted(plants: &[(&str, &str)]) -> Vec<String> {
    let stays = |file: &str| plants.iter().all(|(plant, _)| *plant != file);
    let house = HOUSE.iter().chain(&REST).filter(|(file, _)| stays(file)).chain(plants);
    violations(&house.map(|(file, text)| owned(file, text)).collect::<Vec<_>>())
}

#[track_caller]
fn caught(file: &str, text: &str, expected: &[&str]) {
    let expected: Vec<String> = expected.iter().map(|what| format!("{file}:{what}")).collect();
    let mut found = planted(&[(file, text)]);
    // What climbs can close a circle too; and where a file cannot be read, what others name there is missing.
    found.retain(|what| what.starts_with(&format!("{file}:")));
    assert_eq!(found, expected, "{text}");
}

#[test]
fn a_sound_house_has_no_violation() {
    assert_eq!(planted(&[]), [""; 0]);
}

#[test]
fn a_path_that_climbs_is_caught() {
    let log = "domain/log.rs";
    caught(log, "\nuse crate::store::Row;", &["2: `crate::store::Row` (store/row.rs) stands above Domain"]);
    caught(log, "use super::super::web;", &["1: `super::super::web` (web.rs) stands above Domain"]);
    caught(log, "use crate::Session;", &["1: `crate::Session` (session.rs) stands above Domain"]);
    caught(log, "use crate as house;", &["1: `crate` (lib.rs) stands above Domain"]);
    caught(
        log,
        "use crate::{Error,\nsession::{Session as S}};\nfn f() -> S { S::new() }",
        &[
            "2: `crate::session::Session` (session.rs) stands above Domain",
            "3: `S::new` (session.rs) stands above Domain",
        ],
    );
    caught(log, "fn f() -> crate::web::Guard {}", &["1: `crate::web::Guard` (web.rs) stands above Domain"]);
    caught(
        log,
        "fn f() { format!(\"{}\", g(crate::store::row::X)); }",
        &["1: `crate::store::row::X` (store/row.rs) stands above Domain"],
    );
    caught("error.rs", "use crate::domain::id::Id;", &["1: `crate::domain::id::Id` (domain/id.rs) stands above Leaf"]);
    caught(
        "config/table.rs",
        "struct T { #[serde(with = \"crate::web::text\")] a: u8 }",
        &["1: `crate::web::text` (web.rs) stands above Leaf"],
    );
    caught("store/row.rs", "use crate::session::*;", &["1: `crate::session` (session.rs) stands above Store"]);
    caught("session.rs", "mod a { use crate::web::W; }", &["1: `crate::web::W` (web.rs) stands above Session"]);
    caught("operator.rs", "pub(crate) use crate::web::W;", &["1: `crate::web::W` (web.rs) stands above Operator"]);
    caught("web.rs", "use crate::testing::Clock;", &["1: `crate::testing::Clock` (testing/clock.rs) stands above Web"]);
    caught(
        "session.rs",
        "#[cfg(feature = \"testing\")] use crate::testing::Clock;",
        &["1: `crate::testing::Clock` (testing/clock.rs) stands above Session"],
    );
}

#[test]
fn a_stranger_is_caught() {
    caught("web.rs", "use aws_sdk_dynamodb as d;", &["1: `aws_sdk_dynamodb` in Web"]);
    caught(
        "web.rs",
        "fn f(_: aws_sdk_dynamodb::operation::get_item::GetItemOutput) {}",
        &["1: `aws_sdk_dynamodb::operation::get_item::GetItemOutput` in Web"],
    );
    caught("web.rs", "fn f(c: &Client) {\n c.get_item().send() }", &["2: `.get_item()` in Web"]);
    caught("web.rs", "use dynoxide::Database;", &["1: `dynoxide::Database` in Web"]);
    caught("operator.rs", "fn f(_: rocket::Request) {}", &["1: `rocket::Request` in Operator"]);
    caught("session.rs", "use rocket_ws::Message;", &["1: `rocket_ws::Message` in Session"]);
    caught("session.rs", "use aws_sdk_dynamodb::Client;", &["1: `aws_sdk_dynamodb::Client` in Session"]);
    caught("store/row.rs", "fn f() { rocket::info!(\"\") }", &["1: `rocket::info` in Store"]);
    caught("store/row.rs", "use figment::Figment;", &["1: `figment::Figment` in Store"]);
    caught("store/row.rs", "use crate::config::Table;", &["1: `crate::config::Table` (config/table.rs) in Store"]);
    caught(
        "domain/id.rs",
        "use {http::Uri, tokio::sync::Mutex, aws_smithy_types as t, rocket::State, dynoxide::Db};",
        &[
            "1: `aws_smithy_types` in Domain",
            "1: `dynoxide::Db` in Domain",
            "1: `http::Uri` in Domain",
            "1: `rocket::State` in Domain",
            "1: `tokio::sync::Mutex` in Domain",
        ],
    );
    caught("domain/id.rs", "extern crate tokio;", &["1: `tokio` in Domain"]);
    caught("domain/id.rs", "#[rocket::async_trait] trait T {}", &["1: `rocket::async_trait` in Domain"]);
    caught("config/table.rs", "fn f(_: rocket::http::Status) {}", &["1: `rocket::http::Status` in Leaf"]);
    caught(
        "error.rs",
        "impl From<tokio::time::error::Elapsed> for E {}",
        &["1: `tokio::time::error::Elapsed` in Leaf"],
    );
}

#[test]
fn waiting_in_the_domain_is_caught() {
    let file = "domain/id.rs";
    caught(file, "async fn f() {}", &["1: `async` in Domain"]);
    caught(file, "fn f() {\n async { g().await; } }", &["2: `.await` in Domain", "2: `async` in Domain"]);
    caught(file, "fn f() { g(async || 1) }", &["1: `async` in Domain"]);
    caught(file, "impl T { async fn f() {} }", &["1: `async` in Domain"]);
    caught(file, "fn f() { select!(x => g.await) }", &["1: `.await` in Domain"]);
}

#[test]
fn a_clock_out_of_its_place_is_caught() {
    caught("session.rs", "fn f() { chrono::Utc::now(); }", &["1: `Utc::now` in Session"]);
    caught("store/row.rs", "use chrono::Utc as U;\nfn f() { g(U::now) }", &["2: `Utc::now` in Store"]);
    caught("web.rs", "use chrono::*;\nfn f() { <Utc>::now() }", &["2: `Utc::now` in Web"]);
    caught("web.rs", "use chrono::Local;", &["1: `Local` in Web"]);
    caught("operator.rs", "fn f() { info!(\"\", Utc::now()) }", &["1: `Utc::now` in Operator"]);
    caught(
        "store/row.rs",
        "use std::time::SystemTime;\nfn f() { SystemTime::now() }",
        &["2: `SystemTime::now` in Store"],
    );
    caught("session.rs", "fn f(_: tokio::time::Instant) {}", &["1: `Instant` in Session"]);
    caught("domain/id.rs", "use std::time::Instant;", &["1: `Instant` in Domain"]);
    caught("config/table.rs", "fn f() { std::time::SystemTime::now(); }", &["1: `SystemTime::now` in Leaf"]);
    assert_eq!(planted(&[("web/fairing.rs", "fn f() { Arc::new(chrono::Utc::now); }")]), [""; 0]);
}

#[test]
fn a_circle_is_caught_and_named() {
    let two = [("domain/log.rs", "use super::id::Id;"), ("domain/id.rs", "\nfn f(_: crate::domain::log::Log) {}")];
    assert_eq!(planted(&two), ["circle: domain/log.rs:1 names domain/id.rs, domain/id.rs:2 names domain/log.rs"]);
    let parent = [
        ("domain.rs", "mod log; mod id;\npub(crate) use id::Id;\nfn f(_: log::Log) {}\nstruct Op;"),
        ("domain/log.rs", "use super::Op;"),
    ];
    assert_eq!(planted(&parent), ["circle: domain.rs:3 names domain/log.rs, domain/log.rs:1 names domain.rs"]);
    let three = [
        ("domain.rs", "mod id; mod log; mod plan; pub(crate) use plan::*;"),
        ("domain/id.rs", "use super::Plan;\nfn f() { g!(Plan::new()) }"),
        ("domain/log.rs", "use crate::domain::id;"),
        ("domain/plan.rs", "pub(crate) struct Plan;\nimpl From<super::log::Log> for Plan {}"),
    ];
    let expected = "circle: domain/id.rs:1 names domain/plan.rs, domain/plan.rs:2 names domain/log.rs, \
        domain/log.rs:1 names domain/id.rs";
    assert_eq!(planted(&three), [expected]);
}

#[test]
fn a_reexport_by_a_parent_is_no_edge() {
    let re_exported = [
        ("domain.rs", "mod log; mod id; pub(crate) use log::Log; pub(crate) use self::id::Id as Name; struct Op;"),
        ("domain/log.rs", "use super::{Name, Op};"),
    ];
    assert_eq!(planted(&re_exported), [""; 0]);
    // But one of a stranger is.
    let sideways =
        [("domain/log.rs", "pub(crate) use super::id::Id; struct Log;"), ("domain/id.rs", "use super::log::Log;")];
    assert_eq!(planted(&sideways), ["circle: domain/log.rs:1 names domain/id.rs, domain/id.rs:1 names domain/log.rs"]);
}

#[test]
fn a_long_file_is_caught_without_its_tests() {
    let code = "fn f() {}\n".repeat(350);
    let tests = format!("#[cfg(test)]\nmod tests {{\n{}}}\n", "fn g() {}\n".repeat(100));
    assert_eq!(planted(&[("session.rs", &format!("{tests}{code}"))]), [""; 0]);
    caught("session.rs", &format!("{code}{tests}fn h() {{}}"), &["351: 351 lines without tests, at most 350"]);
}

#[test]
fn a_file_out_of_order_is_caught() {
    assert_eq!(planted(&[("guard.rs", "")]), ["guard.rs: of no wing"]);
    caught("error.rs", "fn f() {\n x().unwrap(); }", &["2: `.unwrap()` in Leaf"]);
    caught("error.rs", "fn f() { assert!(x.unwrap()) }", &["1: `.unwrap()` in Leaf"]);
    caught("session.rs", "\nfn f() { 1 + }", &["2: unexpected end of input, expected an expression"]);
    let lib = format!("{}\nfn f() {{}}", HOUSE[0].1);
    assert_eq!(planted(&[("lib.rs", &lib)]), ["lib.rs:3: lib.rs declares and documents, no more"]);
}

#[test]
fn comments_texts_tests_and_namesakes_are_no_violation() {
    let innocent = r###"
        //! rocket::http, Utc::now()
        /* tokio:: /* SystemTime */ aws_config */
        use std::fmt; use serde::de::Error as _;
        /// Needs no [`rocket::Rocket`], `crate::web`.
        pub(crate) struct Id<'a, T>(pub(crate) &'a str, #[cfg(test)] crate::web::Guard);
        fn f<'a, T: Default>(rocket: &'a str, http: Instant) -> char {
            let quoted = "rocket \" tokio::"; let raw = r#"aws_ " http::"#; let bytes = b"async"; T::default();
            if rocket == quoted { '"' } else { '\'' }
            #[cfg(test)] let x = Utc::now();
            match x { #[cfg(test)] _ => rocket::build(), A::B => {} }
            http.now(); rocket.elapsed().unwrap_or(0); println!("{} crate::web::X", tokio.len());
        }
        mod rocket { pub(crate) struct Local; }
        fn g() -> rocket::Local {}
        #[cfg(test)]
        mod tests;
        #[cfg(all(test, feature = "embedded"))]
        mod others { fn g() { x().unwrap(); crate::store::f(); async { Utc::now() } } }
        impl T { #[cfg(test)] async fn f() {} }
    "###;
    let tests = ("domain/id/tests.rs", "use crate::web::Guard; async fn f() { rocket::build(); }");
    assert_eq!(planted(&[("domain/id.rs", innocent), tests]), [""; 0]);
    caught("domain/id.rs", "#[cfg(not(test))] use crate::web;", &["1: `crate::web` (web.rs) stands above Domain"]);
}

#[test]
fn files_are_read_from_a_folder() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::create_dir(folder.path().join("domain")).expect("a folder");
    fs::write(folder.path().join("domain/id.rs"), "\n\nuse rocket::State;").expect("a file");
    fs::write(folder.path().join("notes.md"), "rocket::State").expect("a file");
    assert_eq!(violations(&crate::files(folder.path())), ["domain/id.rs:3: `rocket::State` in Domain"]);
}
