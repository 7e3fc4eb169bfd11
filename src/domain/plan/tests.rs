//! The table of the plan: every cell of origin × log × age, by hand from the promises; the exact times are beside it.

mod times;

use std::sync::Arc;

use serde_json::{Value, json};

use super::*;
use crate::domain::log::UpdateFn;

const NOW: i64 = 1_000_000;
const IDLE: i64 = 1000;
const ABSOLUTE: i64 = 5000;
const ALL: Means = Means { tell: true, renew: true };
const LATE: Means = Means { tell: false, renew: true };
const POLL: Means = Means { tell: true, renew: false };

/// The idle timeout is 1000 s and the absolute one 5000 s; a refresh is due when less than 900 s are left.
const POLICY: Policy =
    Policy { idle: IDLE, absolute: Some(ABSOLUTE), tombstone: 60, renew_below: 0.9, remember: true, cookies: true };

/// Rows are logs. Columns are origins; those of a live row are ages, `~` where a cycle's tombstone led there:
/// `young`, `due` for a refresh, in its `last` seconds before the absolute timeout, `stale`: the cookie older than the row.
///
/// `-` nothing, `drop`, `touch`, `upd`ate, `del`ete, `new` row, rotate for a `login` or a `cycle`, `end` (invalidate),
/// `repl`ace.
const TABLE: &str = "
                  fresh trail  young due   last  stale  ~young ~due  ~last ~stale superseded gone undecodable unavailable
empty             -     -      -     touch -     touch  -      touch -     -      -          -    -           -
skip              -     -      -     -     -     -      -      -     -     -      -          -    -           -
insert            new   new    upd   upd   upd   upd    upd    upd   upd   upd    drop       drop new         -
insert+skip       new   new    upd   upd   upd   upd    upd    upd   upd   upd    drop       drop new         -
insert_equal      new   new    -     touch -     touch  -      touch -     -      drop       drop new         -
insert+undo       -     -      -     touch -     touch  -      touch -     -      -          -    -           -
update            new   new    upd   upd   upd   upd    upd    upd   upd   upd    drop       drop new         -
remove_one        -     -      upd   upd   upd   upd    upd    upd   upd   upd    -          -    -           -
remove_last       -     -      del   del   del   del    del    del   del   del    -          -    -           -
clear             -     -      del   del   del   del    del    del   del   del    -          -    -           -
clear+insert      new   new    upd   upd   upd   upd    upd    upd   upd   upd    drop       drop new         -
login             new   new    login login login login  login  login login login  new        new  new         -
login+insert      new   new    login login login login  login  login login login  new        new  new         -
login+clear       -     -      del   del   del   del    del    del   del   del    drop       drop -           -
cycle             -     -      cycle cycle cycle cycle  cycle  cycle cycle cycle  drop       drop -           -
cycle+insert      new   new    cycle cycle cycle cycle  cycle  cycle cycle cycle  drop       drop new         -
cycle+login       new   new    login login login login  login  login login login  new        new  new         -
invalidate        -     end    end   end   end   end    end    end   end   end    end        -    end         end
invalidate+insert new   repl   repl  repl  repl  repl   repl   repl  repl  repl   repl       drop repl        end
invalidate+login  new   repl   repl  repl  repl  repl   repl   repl  repl  repl   repl       new  repl        end
login+invalidate  -     end    end   end   end   end    end    end   end   end    end        -    end         end
set_ttl           new   new    upd   upd   upd   upd    upd    upd   upd   upd    drop       drop new         -
remember          -     -      upd   upd   upd   upd    upd    upd   upd   upd    drop       drop -           -
";

fn insert(key: &str) -> Op {
    Op::Insert(key.into(), json!(1))
}

fn increment(key: &str) -> Op {
    let add: UpdateFn = Arc::new(|n| Ok(json!(n.and_then(Value::as_i64).unwrap_or(0) + 1)));
    Op::Update(key.into(), add)
}

fn op(name: &str) -> Vec<Op> {
    match name {
        "empty" | "skip" => vec![],
        "insert" => vec![insert("new")],
        "undo" => vec![Op::Remove("new".into())],
        "insert_equal" => vec![insert("k")],
        "update" => vec![increment("k")],
        "remove_one" => vec![Op::Remove("k".into())],
        "remove_last" => vec![Op::Remove("k".into()), Op::Remove("m".into())],
        "clear" => vec![Op::Clear],
        "login" => vec![Op::Login("ann".into())],
        "cycle" => vec![Op::Cycle],
        "invalidate" => vec![Op::Invalidate],
        "set_ttl" => vec![Op::SetTtl(Some(100))],
        "remember" => vec![Op::Remember(false)],
        _ => panic!("no operation {name}"),
    }
}

fn log(name: &str) -> (Vec<Op>, Means) {
    let renew = !name.split('+').any(|part| part == "skip");
    (name.split('+').flat_map(op).collect(), Means { renew, ..ALL })
}

fn content() -> Content {
    let data = ["k", "m"].map(|key| (key.to_owned(), json!(1))).into_iter().collect();
    Content { data, ..Content::default() }
}

fn age(name: &str) -> Snapshot {
    let (started, ttl, cookie) = match name {
        "young" => (NOW - 50, NOW + 950, NOW + 950),
        "due" => (NOW - 500, NOW + 500, NOW + 500),
        "last" => (NOW - 4900, NOW + 100, NOW + 100),
        "stale" => (NOW - 500, NOW + 950, NOW + 500),
        _ => panic!("no age {name}"),
    };
    Snapshot { content: content(), started, ttl, cookie: Some(cookie) }
}

fn live(snapshot: Snapshot, led: bool) -> Origin {
    Origin::Live { snapshot: Arc::new(snapshot), led }
}

fn origin(name: &str) -> Origin {
    match name {
        "fresh" => Origin::FRESH,
        "trail" => Origin::Fresh { trail: true },
        "superseded" => Origin::Superseded,
        "gone" => Origin::Gone { trail: false },
        "gone trail" => Origin::Gone { trail: true },
        "undecodable" => Origin::Undecodable,
        "unavailable" => Origin::Unavailable,
        _ => live(age(name.trim_start_matches('~')), name.starts_with('~')),
    }
}

fn kind(plan: &Plan) -> &'static str {
    match plan {
        Plan::Nothing => "-",
        Plan::Drop => "drop",
        Plan::Touch(_) => "touch",
        Plan::Update(_) => "upd",
        Plan::Delete => "del",
        Plan::Create(_) => "new",
        Plan::Rotate(_, Rotation::Login) => "login",
        Plan::Rotate(_, Rotation::Cycle) => "cycle",
        Plan::Invalidate => "end",
        Plan::Replace(_) => "repl",
    }
}

#[track_caller]
fn planned(origin: &Origin, log: &[Op], means: Means, policy: &Policy) -> Plan {
    plan(origin, log, means, policy, NOW).expect("no update fails")
}

#[test]
fn every_cell_of_origin_and_log_and_age_has_its_plan() {
    let mut lines = TABLE.lines().filter(|line| !line.is_empty());
    let columns: Vec<&str> = lines.next().expect("a head").split_whitespace().collect();
    let mut wrong = Vec::new();
    for line in lines {
        let mut words = line.split_whitespace();
        let name = words.next().expect("a log");
        let cells: Vec<&str> = words.collect();
        assert_eq!(cells.len(), columns.len(), "{line}");
        let (log, means) = log(name);
        for (column, expected) in columns.iter().zip(cells) {
            let plan = planned(&origin(column), &log, means, &POLICY);
            if kind(&plan) != expected {
                wrong.push(format!("{name} at {column}: {} and not {expected}", kind(&plan)));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_session_with_a_principal_or_a_lifetime_is_not_empty() {
    let user = Content { principal: Some("ann".into()), ..content() };
    let timed = Content { lifetime: Some(100), ..content() };
    for content in [user, timed] {
        let old = live(Snapshot { content, ..age("young") }, false);
        assert_eq!(kind(&planned(&old, &op("remove_last"), ALL, &POLICY)), "upd");
        assert_eq!(planned(&old, &op("clear"), ALL, &POLICY), Plan::Delete);
    }
}

#[test]
fn a_row_that_another_program_left_empty_is_not_deleted_by_a_reader() {
    let old = live(Snapshot { content: Content::default(), ..age("young") }, false);
    assert_eq!(planned(&old, &[], ALL, &POLICY), Plan::Nothing);
    assert_eq!(kind(&planned(&old, &[insert("a")], ALL, &POLICY)), "upd");
}

#[test]
fn an_update_that_fails_on_replay_fails_the_commit() {
    let fails: UpdateFn = Arc::new(|_| Err(Error::HeadSent));
    let log = [insert("a"), Op::Update("k".into(), fails)];
    for from in ["fresh", "young", "superseded"] {
        assert!(plan(&origin(from), &log, ALL, &POLICY, NOW).is_err(), "{from}");
    }
}

/// Rows as any program can have written them: DynamoDB's numbers have 38 digits.
fn extremes() -> Vec<Origin> {
    let ends = [i64::MIN, -1, 0, NOW, i64::MAX];
    let mut rows = Vec::new();
    for (started, cookie) in ends.into_iter().flat_map(|started| ends.map(|cookie| (started, cookie))) {
        for lifetime in [None, Some(i64::MIN), Some(0), Some(i64::MAX)] {
            let content = Content { lifetime, ..content() };
            rows.push(live(Snapshot { content, started, ttl: i64::MAX, cookie: Some(cookie) }, false));
        }
    }
    rows
}

#[test]
fn the_plan_is_total_and_keeps_its_promises_for_all_logs_of_two() {
    let names = ["insert", "insert_equal", "update", "remove_one", "clear", "login", "cycle", "invalidate", "set_ttl"];
    let others = ["remove_last", "remember", "empty"];
    let singles: Vec<Vec<Op>> = names.into_iter().chain(others).map(op).collect();
    let logs = || singles.iter().flat_map(|first| singles.iter().map(|second| [&first[..], second].concat()));
    let head = TABLE.lines().find(|line| !line.is_empty()).expect("a head");
    let origins = head.split_whitespace().map(origin).chain(extremes());
    let policies = [POLICY, Policy { absolute: None, ..POLICY }, Policy { cookies: false, ..POLICY }];
    for origin in origins {
        for (log, policy) in logs().flat_map(|log| policies.iter().map(move |policy| (log.clone(), policy))) {
            for means in [ALL, LATE, POLL, Means { tell: false, renew: false }] {
                let plan = planned(&origin, &log, means, policy);
                check(&origin, &plan, means, &format!("{origin:?} {log:?} {means:?} {plan:?}"));
            }
        }
    }
}

fn check(origin: &Origin, plan: &Plan, means: Means, case: &str) {
    if let Plan::Create(next) | Plan::Update(next) | Plan::Rotate(next, _) | Plan::Replace(next) = plan {
        assert!(!next.snapshot.content.is_empty(), "an empty session is stored: {case}");
        let Snapshot { ttl, started, .. } = next.snapshot;
        assert!(!next.refreshed || ttl > NOW || started <= NOW - ABSOLUTE, "born dead: {case}");
    }
    if let Plan::Touch(next) | Plan::Update(next) = plan {
        let Origin::Live { snapshot: old, led } = origin else { panic!("no row to update: {case}") };
        assert!(next.refreshed || next.snapshot.ttl == old.ttl, "ttl moves without a refresh: {case}");
        assert!(!next.told || (means.tell && !led), "a cookie that cannot be sent: {case}");
        assert!(!next.told || next.refreshed, "a cookie without its row: {case}");
        let until = if next.told { Some(next.snapshot.ttl) } else { old.cookie };
        assert!(next.snapshot.cookie.is_none_or(|cookie| Some(cookie) == until), "cookie and row part: {case}");
    }
    let needs_a_row = matches!(plan, Plan::Touch(_) | Plan::Update(_) | Plan::Delete | Plan::Rotate(..));
    assert!(!needs_a_row || matches!(origin, Origin::Live { .. }), "no row to write over: {case}");
}

#[test]
fn a_gone_session_with_a_trail_is_signed_out_at_the_end_of_the_trail() {
    let plan = |log: &[Op]| plan(&origin("gone trail"), log, ALL, &POLICY, NOW).expect("no update fails");
    assert_eq!(kind(&plan(&[Op::Invalidate])), "end");
    assert_eq!(kind(&plan(&[Op::Invalidate, Op::Insert("k".into(), json!(1))])), "repl");
    assert_eq!(kind(&plan(&[Op::Login("ann".into())])), "new");
    assert_eq!(kind(&plan(&[Op::Insert("k".into(), json!(1))])), "drop");
    assert_eq!(kind(&plan(&[])), "-");
}
