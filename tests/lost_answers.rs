//! Answers that are lost: the write was carried out, or arrives after its repeat, and is applied exactly once.

mod support;

use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use rocket::http::Status;
use rocket::tokio::join;
use rocket::tokio::time::timeout;
use rocket_dynamodb_sessions::SessionId;
use rocket_dynamodb_sessions::testing::{Effect, On, Row};
use serde_json::json;
use support::script::{Answer, Node};

const DAY: u64 = 24 * 60 * 60;
const SIX_MINUTES: u64 = 6 * 60;

/// What happens to the first attempt of a write.
const EFFECTS: [Effect; 2] = [Effect::LoseAnswer, Effect::LateFirst];

/// How many attempts the configuration allows: so many lost answers fail a flush.
const ATTEMPTS: usize = 4;

/// What the clock does between an attempt and its repeat.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Clock {
    Goes,
    StandsStill,
    GoesBack,
}

const CLOCKS: [Clock; 3] = [Clock::Goes, Clock::StandsStill, Clock::GoesBack];

impl Clock {
    fn turn(self, node: &Node) {
        match self {
            Self::Goes => node.bed.advance(1),
            Self::StandsStill => {}
            Self::GoesBack => node.bed.clock.set(node.bed.clock.now() - chrono::TimeDelta::minutes(3)),
        }
    }
}

/// Two nodes on one table, and all kinds of faults, clocks and company.
struct Cases {
    node: Node,
    other: Node,
}

impl Cases {
    async fn new() -> Self {
        let node = Node::new().await;
        let other = node.beside().await;
        Self { node, other }
    }

    fn all() -> impl Iterator<Item = (Effect, Clock, bool)> {
        let clocks = || CLOCKS.into_iter().flat_map(|clock| [(clock, false), (clock, true)]);
        EFFECTS
            .into_iter()
            .flat_map(move |effect| clocks().map(move |(clock, company)| (effect.clone(), clock, company)))
    }

    /// Runs a script whose first write meets the fault; before the repeat the clock turns, and another request runs.
    async fn run(
        &self,
        id: &SessionId,
        script: &str,
        on: (&str, Effect),
        clock: Clock,
        beside: Option<&str>,
    ) -> Answer {
        let meanwhile = async {
            clock.turn(&self.node);
            if let Some(beside) = beside {
                self.other.ask(id, beside).await.ok();
            }
        };
        self.node.lossy(id, script, on, meanwhile).await.0
    }

    /// The same for the write that ends an emptied session: the first one, or the first one after the door.
    async fn run_end(
        &self,
        id: &SessionId,
        script: &str,
        effect: Effect,
        clock: Clock,
        beside: Option<&str>,
    ) -> Answer {
        if !script.contains("wait") {
            return self.run(id, script, ("UpdateItem", effect), clock, beside).await;
        }
        let faults = &self.node.bed.faults;
        let repeat = async {
            let gate = faults.hold(On::operation("UpdateItem").skip(1));
            self.node.door.open(1);
            gate.reached().await;
            clock.turn(&self.node);
            if let Some(beside) = beside {
                self.other.ask(id, beside).await.ok();
            }
            gate.open();
        };
        let end = async {
            self.node.door.reached(1).await;
            faults.inject("UpdateItem", effect);
            repeat.await;
        };
        let both = timeout(Duration::from_secs(60), async { join!(self.node.ask(id, script), end) });
        let (answer, ()) = both.await.expect("the end is written and repeated");
        assert_eq!(faults.pending(), 0, "all that was ordered has happened");
        answer
    }

    async fn data_of_the_only_live_row(&self) -> serde_json::Value {
        let live = self.node.live().await;
        assert_eq!(live.len(), 1);
        live[0].data()
    }

    /// Nothing lives, and one tombstone says that the session has ended. The table is then empty.
    async fn all_has_ended(&self, case: &str) {
        let rows = self.node.rows().await;
        let kinds: Vec<_> = rows.iter().map(|row| row.text("ended")).collect();
        assert_eq!(kinds, [Some("ended")], "{case}");
        self.node.wipe().await;
    }

    async fn end(&self) {
        assert_eq!(self.node.dropped(), 0);
        self.node.wipe().await;
    }
}

/// Cycles the ID of the one live session as whoever holds it would, whom the tests have not heard of.
async fn cycle_unheard(node: &Node) -> SessionId {
    let [Row(old)] = <[Row; 1]>::try_from(node.live().await).expect("one session lives");
    let id = node.seed().await;
    let mut new = old.clone();
    new.insert("id".into(), node.row(&id).await.0["id"].clone());
    let ttl = AttributeValue::N((node.bed.now() + 300).to_string());
    let successor = ("successor", new["id"].clone());
    let tombstone = [("ended", AttributeValue::S("cycle".into())), successor, ("ttl", ttl)];
    let kept = ["id", "modified", "tokens"].map(|name| (name, old[name].clone()));
    node.bed.put(support::row(&[&tombstone[..], &kept[..]].concat())).await;
    node.bed.put(Row(new)).await;
    id
}

#[rocket::async_test]
async fn two_increments_from_5_end_at_7_though_the_answer_of_one_is_lost() {
    let cases = Cases::new().await;
    for (effect, clock, company) in Cases::all() {
        let id = cases.node.seed().await;
        clock.turn(&cases.node);
        let on = ("UpdateItem", effect.clone());
        cases.run(&id, "add:n", on, clock, company.then_some("add:n")).await.silent();
        if !company {
            cases.other.ask(&id, "add:n").await.silent();
        }
        assert_eq!(
            cases.data_of_the_only_live_row().await,
            json!({ "k": 1, "n": 7 }),
            "{effect:?} {clock:?} {company}"
        );
        cases.end().await;
    }
}

#[rocket::async_test]
async fn an_update_is_recognised_behind_seven_others() {
    let cases = Cases::new().await;
    let id = cases.node.seed().await;
    let others = async {
        for _ in 0..7 {
            cases.other.ask(&id, "add:n").await.silent();
        }
    };
    cases.node.lossy(&id, "add:n", ("UpdateItem", Effect::LoseAnswer), others).await.0.silent();
    assert_eq!(cases.data_of_the_only_live_row().await["n"], 13);
}

#[rocket::async_test]
async fn an_update_is_recognised_behind_a_cycle_and_behind_a_login() {
    let cases = Cases::new().await;
    for (rotation, n) in [("cycle,add:n", 7), ("login:ann,add:n", 7)] {
        for effect in EFFECTS {
            let id = cases.node.seed().await;
            cases.run(&id, "add:n", ("UpdateItem", effect.clone()), Clock::StandsStill, Some(rotation)).await.silent();
            // A late attempt has not happened when the login comes: it is superseded.
            let n = if effect == Effect::LateFirst && rotation.starts_with("login") { n - 1 } else { n };
            assert_eq!(cases.data_of_the_only_live_row().await["n"], n, "{rotation} {effect:?}");
            cases.node.wipe().await;
        }
    }
}

#[rocket::async_test]
async fn an_update_does_not_bring_back_what_was_signed_out_before_its_repeat() {
    let cases = Cases::new().await;
    for effect in EFFECTS {
        for script in ["add:n", "look"] {
            let id = cases.node.seed().await;
            cases.node.bed.advance(2 * DAY);
            cases
                .run(&id, script, ("UpdateItem", effect.clone()), Clock::StandsStill, Some("invalidate"))
                .await
                .silent();
            cases.all_has_ended(&format!("{effect:?} {script}")).await;
        }
    }
}

#[rocket::async_test]
async fn a_create_makes_one_row_and_its_cookie_opens_it() {
    let cases = Cases::new().await;
    for effect in EFFECTS {
        for clock in CLOCKS {
            let on = ("PutItem", effect.clone());
            let (answer, ()) = cases.node.lossy(None, "add:n", on, async { clock.turn(&cases.node) }).await;
            cases.node.ask(&answer.id(), "look").await.silent().says(r#"Live nobody {"n":1}"#);
            assert_eq!(cases.node.rows().await.len(), 1, "{effect:?} {clock:?}");
            cases.end().await;
        }
    }
}

#[rocket::async_test]
async fn a_touched_cookie_is_told_though_the_answer_of_the_touch_was_lost() {
    let cases = Cases::new().await;
    for (effect, clock, company) in Cases::all() {
        let id = cases.node.seed().await;
        cases.node.bed.advance(2 * DAY);
        let due = cases.node.bed.now() + 14 * DAY.cast_signed();
        // The other request comes when the row is fresh again, or refreshes it itself: to the same second, or another.
        let answer = cases.run(&id, "look", ("UpdateItem", effect.clone()), clock, company.then_some("add:n")).await;
        let row = cases.node.row(&id).await;
        assert_eq!(row.data()["n"], if company { 6 } else { 5 });
        assert_eq!(row.number("ttl"), row.number("cookie"));
        let by_other = company && effect == Effect::LateFirst && clock != Clock::StandsStill;
        if by_other {
            answer.silent();
        } else {
            assert_eq!(answer.id(), id, "{effect:?} {clock:?} {company}");
            assert_eq!(row.number("ttl"), Some(due));
        }
        cases.node.ask(&id, "look").await.silent();
        cases.end().await;
    }
}

#[rocket::async_test]
async fn a_late_touch_does_not_move_the_lifetime_back_nor_undo_a_shorter_one() {
    let cases = Cases::new().await;
    for (later, lifetime) in [("look", 14 * DAY), ("set_ttl:60", 60)] {
        let id = cases.node.seed().await;
        cases.node.bed.advance(2 * DAY);
        cases.node.bed.faults.inject("UpdateItem", Effect::Late);
        cases.node.ask(&id, "look").await.ok();
        cases.node.bed.advance(2 * DAY);
        cases.other.ask(&id, later).await.ok();
        let row = cases.node.row(&id).await;
        assert_eq!(row.number("ttl"), Some(cases.node.bed.now() + lifetime.cast_signed()));
        assert_eq!(cases.node.bed.faults.deliver().await, 1);
        assert_eq!(cases.node.row(&id).await, row, "{later}");
        cases.end().await;
    }
}

#[rocket::async_test]
async fn a_rotation_leaves_one_session_and_one_tombstone() {
    let cases = Cases::new().await;
    for rotation in ["add:n,cycle", "add:n,login:ann"] {
        for (effect, clock, company) in Cases::all() {
            let id = cases.node.seed().await;
            let on = ("TransactWriteItems", effect.clone());
            let answer = cases.run(&id, rotation, on, clock, company.then_some("add:n")).await;
            // Behind a login that was carried out, the other request is superseded.
            let superseded = rotation.ends_with("ann") && effect == Effect::LoseAnswer;
            let n = if company && !superseded { 7 } else { 6 };
            let case = format!("{rotation} {effect:?} {clock:?} {company}");
            assert_eq!(cases.node.row(&answer.id()).await.data(), json!({ "k": 1, "n": n }), "{case}");
            assert_eq!((cases.node.live().await.len(), cases.node.tombstones().await), (1, 1), "{case}");
            cases.node.ask(&answer.id(), "add:n").await.silent();
            cases.end().await;
        }
    }
}

#[rocket::async_test]
async fn a_rotation_whose_session_went_on_before_its_repeat_sends_no_cookie() {
    let cases = Cases::new().await;
    for (rotation, beside, live) in
        [("cycle", "invalidate", 0), ("login:ann", "invalidate", 0), ("cycle", "login:ann", 1), ("cycle", "clear", 0)]
    {
        let id = cases.node.seed().await;
        let on = ("TransactWriteItems", Effect::LoseAnswer);
        cases.run(&id, rotation, on, Clock::StandsStill, Some(beside)).await.silent();
        assert_eq!(cases.node.live().await.len(), live, "{rotation} {beside}");
        cases.end().await;
    }
}

#[rocket::async_test]
async fn a_request_whose_cycled_id_was_cycled_before_the_repeat_goes_on_at_the_successor() {
    let cases = Cases::new().await;
    for (script, said, n) in
        [("cycle", "", 5), ("cycle,flush,add:n,look", r#"flushed Live nobody {"k":1,"m":1,"n":6}"#, 6)]
    {
        let id = cases.node.seed().await;
        // Whoever has the old ID alone is led and cannot cycle again; this is somebody who has the new one.
        let again = async {
            let next = cycle_unheard(&cases.node).await;
            cases.other.ask(&next, "insert:m=1").await.silent();
        };
        let on = ("TransactWriteItems", Effect::LoseAnswer);
        let (answer, ()) = cases.node.lossy(&id, script, on, again).await;
        answer.silent().says(said);
        assert_eq!(cases.data_of_the_only_live_row().await, json!({ "k": 1, "m": 1, "n": n }));
        cases.end().await;
    }
}

#[rocket::async_test]
async fn a_request_beside_which_the_old_id_asked_for_a_cycle_before_the_repeat_goes_on_at_its_own() {
    let cases = Cases::new().await;
    for (script, said) in [("cycle", ""), ("cycle,flush,add:n,look", r#"flushed Live nobody {"k":1,"m":1,"n":6}"#)] {
        let id = cases.node.seed().await;
        let on = ("TransactWriteItems", Effect::LoseAnswer);
        // It is led to the new row, and leaves its ID as it is.
        let answer = cases.run(&id, script, on, Clock::StandsStill, Some("cycle,insert:m=1")).await;
        answer.says(said);
        let row = cases.node.row(&answer.id()).await;
        assert_eq!(cases.node.live().await, [row]);
        let n = if said.is_empty() { 5 } else { 6 };
        assert_eq!(cases.data_of_the_only_live_row().await, json!({ "k": 1, "m": 1, "n": n }));
        assert_eq!(cases.node.tombstones().await, 1);
        cases.end().await;
    }
}

#[rocket::async_test]
async fn the_end_of_an_emptied_session_happens_once_and_spares_what_came_before_its_repeat() {
    let cases = Cases::new().await;
    for clock in CLOCKS {
        // What comes before the door is a write of its own, and is answered.
        for removal in ["remove:k,remove:n", "clear", "take:k,wait,take:n"] {
            let case = format!("{clock:?} {removal}");
            let id = cases.node.seed().await;
            // The tombstone says whose it is.
            cases.run_end(&id, removal, Effect::LoseAnswer, clock, None).await.removes();
            cases.all_has_ended(&case).await;

            let id = cases.node.seed().await;
            cases.run_end(&id, removal, Effect::LateFirst, clock, None).await.removes();
            cases.all_has_ended(&case).await;

            // `clear` clears what it finds.
            let left = if removal == "clear" { vec![] } else { vec![json!({ "new": 1 })] };
            let id = cases.node.seed().await;
            cases.run_end(&id, removal, Effect::LateFirst, clock, Some("insert:new=1")).await.ok();
            assert_eq!(cases.node.data().await, left, "{case}");
            cases.end().await;
        }
    }
}

#[rocket::async_test]
async fn a_sign_out_ends_the_session_whatever_becomes_of_its_first_attempt() {
    let cases = Cases::new().await;
    for (effect, clock, company) in Cases::all() {
        for beside in ["add:n", "cycle", "login:ann"] {
            let id = cases.node.seed().await;
            let on = ("UpdateItem", effect.clone());
            let answer = cases.run(&id, "invalidate", on, clock, company.then_some(beside)).await;
            assert_eq!(
                cases.node.live().await.len(),
                // With the end carried out, a change or a login starts a session of its own.
                usize::from(company && effect == Effect::LoseAnswer && beside != "cycle"),
                "{effect:?} {clock:?} {company} {beside}"
            );
            // The tombstone says that the end was ours, so the cookie goes; but never that of a login which the end met.
            match company && effect == Effect::LateFirst && beside == "login:ann" {
                true => drop(answer.silent()),
                false => answer.removes(),
            }
            cases.end().await;
        }
    }
}

#[rocket::async_test]
async fn a_replace_leaves_the_new_session_alone() {
    let cases = Cases::new().await;
    for (effect, clock, company) in Cases::all() {
        let id = cases.node.seed().await;
        let on = ("TransactWriteItems", effect.clone());
        let beside = company.then_some("look,remove:n");
        let answer = cases.run(&id, "invalidate,insert:flash=1", on, clock, beside).await;
        let case = format!("{effect:?} {clock:?} {company}");
        assert_eq!(cases.node.live().await, [cases.node.row(&answer.id()).await], "{case}");
        assert_eq!(cases.data_of_the_only_live_row().await, json!({ "flash": 1 }), "{case}");
        // In the place of the old row.
        assert_eq!((cases.node.row(&id).await.text("ended"), cases.node.rows().await.len()), (Some("ended"), 2));
        cases.end().await;
    }
}

#[rocket::async_test]
async fn a_replace_whose_session_ended_before_its_late_attempt_stores_nothing() {
    let cases = Cases::new().await;
    let id = cases.node.seed().await;
    let on = ("TransactWriteItems", Effect::LateFirst);
    cases.run(&id, "invalidate,insert:flash=1", on, Clock::StandsStill, Some("invalidate")).await.silent();
    assert_eq!(cases.node.dropped(), 1);
    cases.all_has_ended("the one tombstone is that of the other request").await;
}

#[rocket::async_test]
async fn writes_that_arrive_when_all_is_over_find_their_conditions_failed() {
    let cases = Cases::new().await;
    for (script, write, end) in [
        ("add:n", "UpdateItem", "invalidate"),
        ("look", "UpdateItem", "invalidate"),
        ("add:n", "UpdateItem", "login:ann"),
        ("look", "UpdateItem", "cycle"),
        ("add:n", "UpdateItem", "add:n"),
        ("cycle", "TransactWriteItems", "invalidate"),
        ("login:ann", "TransactWriteItems", "invalidate"),
        ("invalidate,insert:flash=1", "TransactWriteItems", "invalidate"),
        ("remove:k", "UpdateItem", "remove:n"),
        ("invalidate", "UpdateItem", "look"),
    ] {
        let id = cases.node.seed().await;
        cases.node.bed.advance(2 * DAY);
        cases.node.bed.faults.inject(write, Effect::Late);
        let answer = cases.node.ask(&id, script).await;
        let now = answer.ok().cookie().and_then(|cookie| rocket_dynamodb_sessions::Sessions::parse_id(cookie.value()));
        cases.other.ask(&now.unwrap_or(id), end).await.ok();
        let rows = cases.node.rows().await;
        assert_eq!(cases.node.bed.faults.deliver().await, 1);
        assert_eq!(cases.node.rows().await, rows, "{script}, then {end}");
        cases.node.wipe().await;
    }
}

// A flush all of whose attempts lost their answers: it fails, and the response's commit repeats it.

/// Runs a script with a `flush` whose attempts all lose their answers, the first `spared` writes of that operation aside.
async fn fail_flush(cases: &Cases, id: Option<&SessionId>, script: &str, write: &str, spared: usize) -> Answer {
    cases.node.bed.faults.inject(On::operation(write).skip(spared).times(ATTEMPTS), Effect::LoseAnswer);
    let answer = cases.node.ask(id, script).await;
    assert_eq!((answer.ok().body.as_str(), cases.node.bed.faults.pending()), ("failed", 0), "{script}");
    answer
}

#[rocket::async_test]
async fn a_failed_flush_that_the_response_repeats_is_applied_once() {
    let cases = Cases::new().await;
    for clock in CLOCKS {
        for (script, write, n) in [
            ("add:n,flush", "UpdateItem", 6),
            ("add:n,flush,add:n", "UpdateItem", 7),
            ("add:n,cycle,flush", "TransactWriteItems", 6),
            ("add:n,cycle,flush,add:n", "TransactWriteItems", 7),
            ("add:n,login:ann,flush", "TransactWriteItems", 6),
            ("invalidate,add:n,flush", "TransactWriteItems", 1),
            ("invalidate,add:n,login:ann,flush,add:n", "TransactWriteItems", 2),
        ] {
            let id = cases.node.seed().await;
            clock.turn(&cases.node);
            let answer = fail_flush(&cases, Some(&id), script, write, 0).await;
            let case = format!("{clock:?} {script}");
            assert_eq!(cases.data_of_the_only_live_row().await["n"], n, "{case}");
            let id = if write == "UpdateItem" { id } else { answer.id() };
            assert!(cases.node.ask(&id, "look").await.silent().body.starts_with("Live"), "{case}");
            cases.end().await;
        }
        for script in ["add:n,flush", "add:n,login:ann,flush"] {
            let answer = fail_flush(&cases, None, script, "PutItem", 0).await;
            cases.node.ask(&answer.id(), "add:n").await.silent();
            assert_eq!(cases.data_of_the_only_live_row().await["n"], 2, "{clock:?} {script}");
            cases.end().await;
        }
        for script in ["remove:k,remove:n,flush", "invalidate,flush"] {
            let id = cases.node.seed().await;
            // The tombstone says whose it is.
            fail_flush(&cases, Some(&id), script, "UpdateItem", 0).await.removes();
            cases.all_has_ended(&format!("{clock:?} {script}")).await;
        }
    }
}

#[rocket::async_test]
async fn a_failed_flush_is_applied_once_though_another_request_wrote_before_its_repeat() {
    let cases = Cases::new().await;
    for clock in CLOCKS {
        for (script, beside, write, n) in [
            ("add:n,flush,wait", "add:n", "UpdateItem", 7),
            ("add:n,flush,wait,add:n", "add:n", "UpdateItem", 8),
            ("add:n,flush,wait", "cycle,add:n", "UpdateItem", 7),
            ("add:n,flush,wait,add:n", "cycle,add:n", "UpdateItem", 8),
            ("add:n,flush,wait", "login:ann", "UpdateItem", 6),
            ("add:n,cycle,flush,wait", "add:n", "TransactWriteItems", 7),
            ("add:n,cycle,flush,wait", "cycle,add:n", "TransactWriteItems", 7),
            ("add:n,cycle,flush,wait,add:n", "cycle,add:n", "TransactWriteItems", 8),
            ("add:n,login:ann,flush,wait", "add:n", "TransactWriteItems", 6),
        ] {
            let id = cases.node.seed().await;
            let meanwhile = async {
                cases.node.door.reached(1).await;
                clock.turn(&cases.node);
                cases.other.ask(&id, beside).await.ok();
                cases.node.door.open(1);
            };
            join!(fail_flush(&cases, Some(&id), script, write, 0), meanwhile);
            assert_eq!(cases.data_of_the_only_live_row().await["n"], n, "{clock:?} {script}, {beside}");
            cases.end().await;
        }
    }
}

#[rocket::async_test]
async fn a_failed_flush_that_followed_a_cycle_is_applied_once() {
    let cases = Cases::new().await;
    for (flush, write, spared, n) in [
        ("add:n,flush", "UpdateItem", 1, 6),
        ("add:n,flush,add:n", "UpdateItem", 1, 7),
        // Behind a cycle there is nothing to cycle: the transaction meets it, and an update is left.
        ("add:n,cycle,flush", "UpdateItem", 0, 6),
        ("add:n,cycle,flush,add:n", "UpdateItem", 0, 7),
        ("add:n,login:ann,flush", "TransactWriteItems", 1, 6),
        ("invalidate,add:n,flush", "TransactWriteItems", 1, 1),
    ] {
        let id = cases.node.seed().await;
        let cycle = async {
            cases.node.door.reached(1).await;
            cases.other.ask(&id, "cycle").await.id();
            cases.node.door.open(1);
        };
        // The first write meets the tombstone; the second, at the successor, is carried out and never answered.
        let script = format!("wait,{flush}");
        let (answer, ()) = join!(fail_flush(&cases, Some(&id), &script, write, spared), cycle);
        assert_eq!(cases.data_of_the_only_live_row().await["n"], n, "{flush}");
        if write == "UpdateItem" {
            answer.silent();
        } else {
            assert!(cases.node.ask(&answer.id(), "look").await.silent().body.starts_with("Live"), "{flush}");
        }
        cases.end().await;
    }
}

#[rocket::async_test]
async fn a_failed_flush_of_a_refresh_is_repeated_and_told() {
    let cases = Cases::new().await;
    for clock in [Clock::Goes, Clock::StandsStill] {
        let id = cases.node.seed().await;
        cases.node.bed.advance(2 * DAY);
        let meanwhile = async {
            cases.node.door.reached(1).await;
            clock.turn(&cases.node);
            cases.node.door.open(1);
        };
        let (answer, ()) = join!(fail_flush(&cases, Some(&id), "flush,wait", "UpdateItem", 0), meanwhile);
        assert_eq!(answer.id(), id);
        let row = cases.node.row(&id).await;
        assert_eq!(row.number("ttl"), row.number("cookie"));
        assert_eq!(answer.cookie().and_then(|cookie| cookie.max_age()).map(|age| age.whole_days()), Some(14));
        cases.end().await;
    }
}

#[rocket::async_test]
async fn a_commit_that_is_never_answered_is_503_without_a_cookie_and_leaves_no_half() {
    let cases = Cases::new().await;
    for (script, write) in [("add:n", "UpdateItem"), ("add:n,cycle", "TransactWriteItems"), ("clear", "UpdateItem")] {
        let id = cases.node.seed().await;
        cases.node.bed.faults.inject(On::operation(write).times(ATTEMPTS), Effect::LoseAnswer);
        let answer = cases.node.ask(&id, script).await;
        assert_eq!((answer.status, &answer.cookies[..]), (Status::ServiceUnavailable, &[][..]), "{script}");
        // It may have happened, and here it has: once.
        let data: Vec<_> = cases.node.live().await.iter().map(Row::data).collect();
        assert_eq!(data, if script == "clear" { vec![] } else { vec![json!({ "k": 1, "n": 6 })] }, "{script}");
        cases.node.wipe().await;
    }
}

#[rocket::async_test]
async fn a_login_that_answered_503_is_repeated_and_logs_in() {
    let cases = Cases::new().await;
    for seconds in [0, SIX_MINUTES] {
        let id = cases.node.seed().await;
        let lost = On::operation("TransactWriteItems").times(ATTEMPTS);
        cases.node.bed.faults.inject(lost, Effect::LoseAnswer);
        assert_eq!(cases.node.ask(&id, "login:ann").await.status, Status::ServiceUnavailable);
        cases.node.bed.clock.advance(Duration::from_secs(seconds));
        let again = cases.node.ask(&id, "login:ann").await;
        cases.node.ask(&again.id(), "look").await.silent().says("Live ann {}");
        cases.end().await;
    }
}
