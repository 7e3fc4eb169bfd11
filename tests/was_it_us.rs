//! Was it us? A write is carried out, and nobody hears of it. Others go on from there; then the write is repeated, or
//! the row is read again, or the next commit comes: it counts once, and what the request does next depends on the row
//! alone.

mod support;

use rocket::http::Status;
use rocket_dynamodb_sessions::{Config, SessionId, Sessions};
use serde_json::{Value, json};
use support::script::Age::{self, Expired, Swept, Young};
use support::script::{AGES, Answer, Node};

const DAY: u64 = 24 * 60 * 60;

/// How the request goes on after the write that was not answered.
#[derive(Clone, Copy, Debug)]
enum Again {
    /// The first answer alone is lost: the write is repeated at once.
    Attempt,
    /// No answer of a flush comes; another flush repeats it.
    Flush,
    /// No answer of a flush comes; the response's commit repeats it.
    Response,
    /// No answer of a flush comes; the row is read again.
    Reload,
}

const AGAIN: [Again; 4] = [Again::Attempt, Again::Flush, Again::Response, Again::Reload];

/// Who the request is of.
#[derive(Clone, Copy, Debug)]
enum Origin {
    /// A visitor without a session.
    Nobody,
    /// A session with `k = 1` and `n = 5`.
    Session,
    /// The same, and its lifetime is due to be refreshed.
    Due,
    /// The same; its ID was cycled, and the request brings the one before.
    Led,
    /// The same; a login gave it another ID, and the request brings the one before.
    Superseded,
}

/// What the client gets.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Told {
    /// No cookie of any kind.
    Nothing,
    /// The cookie of the row that the write made.
    Cookie,
    Removal,
    /// Perhaps once more a cookie with the ID that it brought.
    SameOrNothing,
}

/// What happens while the answer is under way, and what is right then.
#[derive(Clone, Debug)]
struct Case {
    /// What another request asks with the ID that this one came with; `revoke`: an administrator ends what lives.
    beside: &'static str,
    age: Age,
    /// The data of the session, if it lives.
    left: Option<Value>,
    /// Whether what the request does next is carried out; else it is dropped and counted.
    goes_on: bool,
    told: Told,
    /// The data of a session that the other request began.
    others: Option<Value>,
}

/// The session lives on, and so does the request.
fn lives(beside: &'static str, age: Age, data: Value, told: Told) -> Case {
    Case { beside, age, left: Some(data), goes_on: true, told, others: None }
}

/// The session lives on, and the request has no part in it.
fn left_behind(beside: &'static str, age: Age, data: Value) -> Case {
    Case { beside, age, left: Some(data), goes_on: false, told: Told::Nothing, others: None }
}

/// The session has ended.
fn over(beside: &'static str, age: Age) -> Case {
    Case { beside, age, left: None, goes_on: false, told: Told::Nothing, others: None }
}

/// The request itself has ended the session, and what it does next begins another.
fn own_end(beside: &'static str, age: Age, told: Told) -> Case {
    Case { beside, age, left: None, goes_on: true, told, others: None }
}

impl Case {
    /// The other request began a session of its own.
    fn and(self, others: Value) -> Self {
        Self { others: Some(others), ..self }
    }

    /// The data of all that lives in the end.
    fn live(&self, rest: &str) -> Vec<Value> {
        let mut own = self.left.clone();
        if self.goes_on && !rest.is_empty() {
            own.get_or_insert_with(|| json!({}))["x"] = json!(1);
        }
        let mut live: Vec<Value> = own.into_iter().chain(self.others.clone()).collect();
        live.sort_by_key(Value::to_string);
        live
    }
}

/// Two nodes on one table.
struct Pair {
    node: Node,
    other: Node,
}

impl Pair {
    async fn new(silent_server: bool) -> Self {
        let node = Node::with(support::Bed::new(), |config| Config { attempts: 2, ..config }).await;
        let other = node.beside().await;
        if silent_server {
            node.bring_no_rows();
        }
        Self { node, other }
    }

    async fn come(&self, origin: Origin) -> Option<SessionId> {
        if matches!(origin, Origin::Nobody) {
            return None;
        }
        let id = self.node.seed().await;
        match origin {
            Origin::Due => self.node.bed.advance(2 * DAY),
            Origin::Led => drop(self.other.ask(&id, "cycle").await.id()),
            Origin::Superseded => drop(self.other.ask(&id, "login:eve").await.id()),
            Origin::Nobody | Origin::Session => {}
        }
        Some(id)
    }

    async fn meanwhile(&self, id: Option<&SessionId>, case: &Case) {
        match case.beside {
            "" => {}
            "revoke" => self.other.revoke_all().await,
            beside => drop(self.other.ask(id, beside).await.ok()),
        }
        self.node.fade(case.age).await;
    }

    /// Runs a script whose write is not answered, and then the rest of the request.
    async fn run(&self, id: Option<&SessionId>, script: &str, again: Again, rest: &str, case: &Case) -> Answer {
        // Boxed, as below: unoptimized futures fill a test's stack.
        let meanwhile = Box::pin(self.meanwhile(id, case));
        let script = match again {
            Again::Attempt => format!("{script},flush"),
            Again::Flush => format!("{script},flush,wait,flush"),
            Again::Response => format!("{script},flush,wait"),
            Again::Reload => format!("{script},flush,wait,reload"),
        };
        let script = if rest.is_empty() { script } else { format!("{script},{rest}") };
        match again {
            Again::Attempt => Box::pin(self.node.unheard(id, &script, meanwhile)).await.0,
            _ => Box::pin(self.node.unanswered(id, &script, meanwhile)).await.0,
        }
    }
}

/// Runs a script whose write is not answered beside all these cases: in all the ways of going on, with and without a
/// rest of the request, on a server that brings the row of a failed condition and on one that does not.
async fn each(origin: Origin, script: &str, cases: &[Case]) {
    each_of(origin, script, &AGAIN, cases).await;
}

/// As `each`, in these ways of going on.
async fn each_of(origin: Origin, script: &str, ways: &[Again], cases: &[Case]) {
    let (mut tried, mut wrong) = (0, Vec::new());
    for silent_server in [false, true] {
        let pair = Box::pin(Pair::new(silent_server)).await;
        for again in ways.iter().copied() {
            for case in cases {
                for rest in ["", "insert:x=1"] {
                    let faults = Box::pin(pair.judge(origin, script, again, rest, case)).await;
                    tried += 1;
                    if !faults.is_empty() {
                        let server = if silent_server { "silent server" } else { "server" };
                        let Case { beside, age, .. } = case;
                        let which = format!("{again:?} [{rest}] beside [{beside}] {age:?}, {server}");
                        wrong.push(format!("{which}: {}", faults.join("; ")));
                    }
                }
            }
        }
    }
    let first = wrong.iter().take(40).cloned().collect::<Vec<_>>().join("\n");
    assert!(
        wrong.is_empty(),
        "`{script}`, {origin:?}: {} of {tried} cases are wrong, the first:\n{first}",
        wrong.len()
    );
}

impl Pair {
    /// Runs one case, and says what is wrong.
    async fn judge(&self, origin: Origin, script: &str, again: Again, rest: &str, case: &Case) -> Vec<String> {
        let node = &self.node;
        let id = Box::pin(self.come(origin)).await;
        let before = node.dropped();
        let answer = Box::pin(self.run(id.as_ref(), script, again, rest, case)).await;
        let (live, dropped) = (node.live().await, node.dropped() - before);

        let mut wrong = Vec::new();
        let mut expect = |right: bool, is: String| {
            if !right {
                wrong.push(is);
            }
        };
        expect(answer.status == Status::Ok, format!("answered {}", answer.status));
        let data = node.data().await;
        expect(data == case.live(rest), format!("{} lives", json!(data)));

        // The row that the client is told of, if it is; the ID itself stays out of the log.
        let told = answer.cookie().map(|cookie| Sessions::parse_id(cookie.value()));
        let row = match &told {
            Some(Some(id)) => node.bed.row(&node.client, id).await.filter(|row| live.contains(row)),
            _ => None,
        };
        let begun = case.left.is_none() && case.goes_on && !rest.is_empty();
        match case.told {
            Told::Cookie => {
                let principal = script.contains("login:ann").then_some("ann");
                let own = case.live(rest).into_iter().find(|data| Some(data) != case.others.as_ref());
                let right =
                    row.as_ref().is_some_and(|row| Some(row.data()) == own && row.text("principal") == principal);
                expect(right, format!("told {:?}", row.map(|row| row.data())));
            }
            _ if begun => {
                let right = row.as_ref().is_some_and(|row| row.data() == json!({ "x": 1 }));
                expect(right, format!("told {:?}", row.map(|row| row.data())));
            }
            Told::Nothing => expect(answer.cookies.is_empty(), format!("a cookie: {:?}", row.map(|row| row.data()))),
            Told::Removal => expect(told == Some(None), format!("no removal, cookie: {}", told.is_some())),
            Told::SameOrNothing => expect(told.is_none() || told == Some(id), "another cookie".into()),
        }
        // What is stored is not dropped, whatever became of it; what nobody remembers may have been either.
        let lost = u64::from(!case.goes_on && !rest.is_empty());
        expect(case.age == Swept || dropped == lost, format!("{dropped} counted as dropped"));
        node.wipe().await;
        wrong
    }
}

#[rocket::async_test]
async fn an_update_that_nobody_heard_of_is_counted_once_and_the_row_says_what_comes_next() {
    let n = |n| json!({ "k": 1, "n": n });
    let mut cases = vec![
        lives("", Young, n(6), Told::Nothing),
        lives("add:n", Young, n(7), Told::Nothing),
        lives("cycle", Young, n(6), Told::Nothing),
        left_behind("cycle", Expired, n(6)),
        left_behind("cycle", Swept, n(6)),
    ];
    for age in AGES {
        cases.push(left_behind("login:ann", age, n(6)));
        cases.extend(["invalidate", "clear", "revoke"].map(|end| over(end, age)));
    }
    each(Origin::Session, "add:n", &cases).await;
}

#[rocket::async_test]
async fn an_update_of_a_led_request_that_nobody_heard_of_is_counted_once() {
    let n = |n| json!({ "k": 1, "n": n });
    let cases = [
        lives("", Young, n(6), Told::Nothing),
        lives("add:n", Young, n(7), Told::Nothing),
        // A led request does not cycle again.
        lives("cycle", Young, n(6), Told::Nothing),
        left_behind("login:ann", Young, n(6)),
        left_behind("login:ann", Expired, n(6)),
        over("invalidate", Young),
        over("clear", Expired),
        over("revoke", Swept),
    ];
    each(Origin::Led, "add:n", &cases).await;
}

#[rocket::async_test]
async fn a_touch_that_nobody_heard_of_drops_nothing_and_brings_nothing_back() {
    let n = |n| json!({ "k": 1, "n": n });
    let mut cases = vec![
        lives("", Young, n(5), Told::SameOrNothing),
        lives("add:n", Young, n(6), Told::SameOrNothing),
        lives("cycle", Young, n(5), Told::Nothing),
        left_behind("cycle", Expired, n(5)),
        left_behind("cycle", Swept, n(5)),
    ];
    for age in AGES {
        cases.push(left_behind("login:ann", age, n(5)));
        cases.extend(["invalidate", "clear", "revoke"].map(|end| over(end, age)));
    }
    each(Origin::Due, "look", &cases).await;
}

#[rocket::async_test]
async fn a_create_that_nobody_heard_of_makes_one_row_which_is_told_unless_it_was_revoked() {
    let cases = [
        lives("", Young, json!({ "a": 1 }), Told::Cookie),
        lives("", Swept, json!({ "a": 1 }), Told::Cookie),
        over("revoke", Young),
        over("revoke", Expired),
    ];
    each(Origin::Nobody, "insert:a=1", &cases).await;
}

#[rocket::async_test]
async fn a_cycle_that_nobody_heard_of_is_told_unless_its_session_went_on_or_ended() {
    let n = |n| json!({ "k": 1, "n": n });
    let mut cases = vec![
        lives("add:n", Young, n(7), Told::Cookie),
        // The other request is led to the new row, and does not cycle it again.
        lives("cycle", Young, n(6), Told::Cookie),
    ];
    for age in AGES {
        cases.push(lives("", age, n(6), Told::Cookie));
        cases.push(left_behind("login:ann", age, n(6)));
        cases.extend(["invalidate", "clear", "revoke"].map(|end| over(end, age)));
    }
    each(Origin::Session, "add:n,cycle", &cases).await;
}

#[rocket::async_test]
async fn a_login_that_nobody_heard_of_is_told_unless_its_session_was_ended() {
    let n = |n| json!({ "k": 1, "n": n });
    let mut cases = vec![
        // These are superseded.
        lives("add:n", Young, n(6), Told::Cookie),
        lives("cycle", Young, n(6), Told::Cookie),
        lives("clear", Young, n(6), Told::Cookie),
        lives("login:bob", Young, n(6), Told::Cookie).and(json!({})),
    ];
    for age in AGES {
        cases.push(lives("", age, n(6), Told::Cookie));
    }
    each(Origin::Session, "add:n,login:ann", &cases).await;
    for end in ["invalidate", "revoke"] {
        let script = "add:n,login:ann";
        each(Origin::Session, script, &[over(end, Young), over(end, Expired)]).await;
        // The table has forgotten. DynamoDB has not: it knows an attempt of the same transaction for ten minutes.
        each_of(Origin::Session, script, &[Again::Attempt], &[over(end, Swept)]).await;
        // Another commit's it does not: a login begins a session then.
        let begun = lives(end, Swept, json!({ "n": 1 }), Told::Cookie);
        each_of(Origin::Session, script, &[Again::Flush, Again::Response, Again::Reload], &[begun]).await;
    }
}

#[rocket::async_test]
async fn a_sign_out_or_emptying_that_nobody_heard_of_is_our_own_and_the_rest_of_the_request_is_carried_out() {
    for script in ["invalidate", "clear", "remove:k,remove:n"] {
        let mut cases = vec![own_end("", Young, Told::Removal), own_end("", Expired, Told::Removal)];
        // What comes with the ended ID meanwhile is a visitor's first request.
        cases.extend(["look", "cycle", "clear", "invalidate"].map(|beside| own_end(beside, Young, Told::Removal)));
        cases.push(own_end("add:n", Young, Told::Removal).and(json!({ "n": 1 })));
        cases.push(own_end("login:ann", Young, Told::Removal).and(json!({})));
        each(Origin::Session, script, &cases).await;
    }
}

#[rocket::async_test]
async fn a_sign_out_with_an_old_id_that_nobody_heard_of_is_our_own_too() {
    each(Origin::Led, "invalidate", &[own_end("", Young, Told::Removal), own_end("look", Young, Told::Removal)]).await;
    // What a login made of it has a cookie that another response brings.
    each(Origin::Superseded, "invalidate", &[own_end("", Young, Told::Nothing), own_end("look", Young, Told::Nothing)])
        .await;
}

#[rocket::async_test]
async fn a_replace_that_nobody_heard_of_is_told_unless_the_new_session_was_ended() {
    let f = || json!({ "f": 1 });
    let mut cases = vec![
        lives("add:n", Young, f(), Told::Cookie).and(json!({ "n": 1 })),
        lives("login:bob", Young, f(), Told::Cookie).and(json!({})),
    ];
    cases.extend(["look", "cycle", "clear", "invalidate"].map(|beside| lives(beside, Young, f(), Told::Cookie)));
    for age in AGES {
        cases.push(lives("", age, f(), Told::Cookie));
        cases.push(over("revoke", age));
    }
    each(Origin::Session, "invalidate,insert:f=1", &cases).await;
}

#[rocket::async_test]
async fn a_replace_by_a_login_that_nobody_heard_of_is_told_unless_the_new_session_was_ended() {
    let f = || json!({ "f": 1 });
    // These are superseded.
    let mut cases: Vec<Case> =
        ["look", "add:n", "cycle", "clear"].map(|beside| lives(beside, Young, f(), Told::Cookie)).into();
    cases.push(lives("login:bob", Young, f(), Told::Cookie).and(json!({})));
    for age in AGES {
        cases.push(lives("", age, f(), Told::Cookie));
    }
    each(Origin::Session, "invalidate,insert:f=1,login:ann", &cases).await;
    for end in ["invalidate", "revoke"] {
        let script = "invalidate,insert:f=1,login:ann";
        each(Origin::Session, script, &[over(end, Young), over(end, Expired)]).await;
        // The table has forgotten. DynamoDB has not: it knows an attempt of the same transaction for ten minutes.
        each_of(Origin::Session, script, &[Again::Attempt], &[over(end, Swept)]).await;
        // Another commit's it does not: a login begins a session then.
        let begun = lives(end, Swept, f(), Told::Cookie);
        each_of(Origin::Session, script, &[Again::Flush, Again::Response, Again::Reload], &[begun]).await;
    }
}
