//! The table of the plan: every cell of origin × log × age, by hand from the promises; the exact times are beside it.

mod times;

use std::sync::Arc;

use super::*;
use crate::domain::codec::Codec;
use crate::domain::data::Data;
use crate::domain::log::Op;
use crate::domain::policy::Lifetimes;
use crate::domain::text::Text;
use crate::domain::update::Update;
use crate::domain::value::Value;

const NOW: i64 = 1_000_000;
const IDLE: i64 = 1000;
const ABSOLUTE: i64 = 5000;
const ALL: Means = Means { tell: true, renew: true };
const LATE: Means = Means { tell: false, renew: true };
const POLL: Means = Means { tell: true, renew: false };

/// The idle timeout is 1000 s and the absolute one 5000 s; a refresh is due when less than 900 s are left.
const POLICY: Policy = lived(IDLE, Some(ABSOLUTE));

/// All kinds of sessions with these lifetimes.
const fn lived(idle: i64, absolute: Option<i64>) -> Policy {
    let all = Lifetimes { idle, absolute };
    let (renew_below, tombstone) = (0.9, 60);
    Policy { visitor: all, signed_in: all, remembered: all, tombstone, renew_below, remember: true, cookies: true }
}

/// Rows are logs. Columns are origins; those of a live row are ages, `~` where a cycle's tombstone led there:
/// `young`, `due` for a refresh, in its `last` seconds before the absolute timeout, `stale`: the cookie older than the row.
///
/// `-` nothing, `drop`, `touch`, `upd`ate, `del` (the end of an emptied session), `new` row, rotate for a `login` or a `cycle`, `end` (invalidate),
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
login             new   new    login login login login  login  login login login  new        new  repl        -
login+insert      new   new    login login login login  login  login login login  new        new  repl        -
login+clear       -     -      del   del   del   del    del    del   del   del    drop       drop -           -
cycle             -     -      cycle cycle cycle cycle  -      touch -     -      drop       drop -           -
cycle+insert      new   new    cycle cycle cycle cycle  upd    upd   upd   upd    drop       drop new         -
cycle+login       new   new    login login login login  login  login login login  new        new  repl        -
invalidate        -     end    end   end   end   end    end    end   end   end    end        -    end         end
invalidate+insert new   repl   repl  repl  repl  repl   repl   repl  repl  repl   repl       drop repl        end
invalidate+login  new   repl   repl  repl  repl  repl   repl   repl  repl  repl   repl       new  repl        end
login+invalidate  -     end    end   end   end   end    end    end   end   end    end        -    end         end
set_ttl           new   new    upd   upd   upd   upd    upd    upd   upd   upd    drop       drop new         -
remember          -     -      upd   upd   upd   upd    upd    upd   upd   upd    drop       drop -           -
";

fn value(number: i64) -> Value {
    Value::encode(Codec::Json, &number).expect("a number")
}

fn insert(key: &str) -> Op {
    Op::Insert(key.into(), value(1))
}

fn increment(key: &str) -> Op {
    Op::Update(Arc::new(Update::new(1, key.into(), Box::new(|_| Ok(value(2))), Some(value(1)), value(2))))
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

fn age(name: &str) -> Snapshot {
    let (started, ttl, cookie) = match name {
        "young" => (NOW - 50, NOW + 950, NOW + 950),
        "due" => (NOW - 500, NOW + 500, NOW + 500),
        "last" => (NOW - 4900, NOW + 100, NOW + 100),
        "stale" => (NOW - 500, NOW + 950, NOW + 500),
        _ => panic!("no age {name}"),
    };
    let data = Data::new(["k", "m"].map(|key| (Text::from(key), value(1))).into());
    Snapshot {
        codec: Codec::Json,
        data,
        principal: None,
        lifetime: None,
        remember: None,
        started,
        ttl,
        cookie: Some(cookie),
    }
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
        "own end" => Origin::OwnEnd,
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
        Plan::End => "del",
        Plan::Create(_) => "new",
        Plan::Rotate(_, Rotation::Login) => "login",
        Plan::Rotate(_, Rotation::Cycle) => "cycle",
        Plan::Invalidate => "end",
        Plan::Replace(_) => "repl",
    }
}

#[track_caller]
fn planned(origin: &Origin, log: &[Op], means: Means, policy: &Policy) -> Plan {
    plan(origin, &view(origin, log), means, policy, NOW)
}

fn view(origin: &Origin, log: &[Op]) -> View {
    let mut view = View::of(origin.base());
    log.iter().for_each(|op| view.apply(op));
    view
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
    let user = Snapshot { principal: Some("ann".into()), ..age("young") };
    let timed = Snapshot { lifetime: Some(100), ..age("young") };
    for old in [user, timed] {
        let old = live(old, false);
        assert_eq!(kind(&planned(&old, &op("remove_last"), ALL, &POLICY)), "upd");
        assert_eq!(planned(&old, &op("clear"), ALL, &POLICY), Plan::End);
    }
}

#[test]
fn a_row_that_another_program_left_empty_is_not_deleted_by_a_reader() {
    let old = live(Snapshot { data: Data::default(), ..age("young") }, false);
    assert_eq!(planned(&old, &[], ALL, &POLICY), Plan::Nothing);
    assert_eq!(kind(&planned(&old, &[insert("a")], ALL, &POLICY)), "upd");
}

/// Rows as any program can have written them: DynamoDB's numbers have 38 digits.
fn extremes() -> Vec<Origin> {
    let ends = [i64::MIN, -1, 0, NOW, i64::MAX];
    let mut rows = Vec::new();
    for (started, cookie) in ends.into_iter().flat_map(|started| ends.map(|cookie| (started, cookie))) {
        for lifetime in [None, Some(i64::MIN), Some(0), Some(i64::MAX)] {
            rows.push(live(Snapshot { lifetime, started, ttl: i64::MAX, cookie: Some(cookie), ..age("young") }, false));
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
    let policies = [POLICY, lived(IDLE, None), Policy { cookies: false, ..POLICY }];
    for origin in origins {
        for (log, policy) in logs().flat_map(|log| policies.iter().map(move |policy| (log.clone(), policy))) {
            for means in [ALL, LATE, POLL, Means { tell: false, renew: false }] {
                let plan = planned(&origin, &log, means, policy);
                check(&origin, &plan, &view(&origin, &log), means, &format!("{origin:?} {log:?} {means:?} {plan:?}"));
            }
        }
    }
}

fn check(origin: &Origin, plan: &Plan, view: &View, means: Means, case: &str) {
    if let Plan::Create(times) | Plan::Update(times) | Plan::Rotate(times, _) | Plan::Replace(times) = plan {
        assert!(!view.is_empty(), "an empty session is stored: {case}");
        assert!(!times.refreshed || times.ttl > NOW || times.started <= NOW - ABSOLUTE, "born dead: {case}");
    }
    if let Plan::Touch(times) | Plan::Update(times) = plan {
        let Origin::Live { snapshot: old, led } = origin else { panic!("no row to update: {case}") };
        assert!(times.refreshed || times.ttl == old.ttl, "ttl moves without a refresh: {case}");
        assert!(!times.told || (means.tell && !led), "a cookie that cannot be sent: {case}");
        assert!(!times.told || times.refreshed, "a cookie without its row: {case}");
        let until = if times.told { Some(times.ttl) } else { old.cookie };
        assert!(times.cookie.is_none_or(|cookie| Some(cookie) == until), "cookie and row part: {case}");
    }
    let new = matches!(plan, Plan::Create(_) | Plan::Rotate(..) | Plan::Replace(_));
    assert!(!new || means.tell, "a row that nobody will hold: {case}");
    let needs_a_row = matches!(plan, Plan::Touch(_) | Plan::Update(_) | Plan::End | Plan::Rotate(..));
    assert!(!needs_a_row || matches!(origin, Origin::Live { .. }), "no row to write over: {case}");
}

#[test]
fn a_gone_session_with_a_trail_is_signed_out_at_the_end_of_the_trail() {
    let plan = |log: &[Op]| planned(&origin("gone trail"), log, ALL, &POLICY);
    assert_eq!(kind(&plan(&[Op::Invalidate])), "end");
    assert_eq!(kind(&plan(&[Op::Invalidate, insert("k")])), "repl");
    assert_eq!(kind(&plan(&[Op::Login("ann".into())])), "new");
    assert_eq!(kind(&plan(&[insert("k")])), "drop");
    assert_eq!(kind(&plan(&[])), "-");
}

#[test]
fn what_follows_an_own_end_is_a_visitors_first() {
    for (log, expected) in [("empty", "-"), ("insert", "new"), ("login", "new"), ("clear", "-"), ("invalidate", "-")] {
        assert_eq!(kind(&planned(&origin("own end"), &op(log), ALL, &POLICY)), expected, "{log}");
    }
}

#[test]
fn after_the_head_no_row_is_created_and_no_id_rotated() {
    for (from, log, expected) in [
        ("fresh", "insert", "drop"),
        ("own end", "insert", "drop"),
        ("undecodable", "login", "end"),
        ("gone", "login", "drop"),
        ("young", "login", "drop"),
        ("young", "cycle+insert", "upd"),
        ("young", "invalidate+insert", "end"),
    ] {
        assert_eq!(kind(&planned(&origin(from), &log_of(log), LATE, &POLICY)), expected, "{from} {log}");
    }
}

fn log_of(name: &str) -> Vec<Op> {
    log(name).0
}
