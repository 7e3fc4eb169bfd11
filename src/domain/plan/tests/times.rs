//! The exact times of a plan: when a row is refreshed, until when, and whether the client is told.

use super::*;

/// The times of a row to be written: started, ttl, cookie; then whether it is refreshed, and whether the client is told.
type Figures = (i64, i64, Option<i64>, bool, bool);

#[track_caller]
fn next(plan: Plan) -> Times {
    match plan {
        Plan::Touch(next) | Plan::Update(next) | Plan::Create(next) | Plan::Rotate(next, _) | Plan::Replace(next) => {
            next
        }
        other => panic!("{other:?} writes no row"),
    }
}

#[track_caller]
fn times(origin: &Origin, log: &[Op], means: Means, policy: &Policy) -> Figures {
    let Times { started, ttl, cookie, refreshed, told } = next(planned(origin, log, means, policy));
    (started, ttl, cookie, refreshed, told)
}

const YOUNG: i64 = NOW - 50;
const DUE: i64 = NOW - 500;
const FULL: i64 = NOW + IDLE;

#[test]
fn a_new_row_lives_for_the_idle_timeout_from_now_and_so_does_its_cookie() {
    let fresh = (NOW, FULL, Some(FULL), true, true);
    for (from, log) in [
        ("fresh", vec![insert("a")]),
        ("gone", op("login")),
        ("undecodable", vec![insert("a")]),
        ("last", vec![Op::Invalidate, insert("flash")]),
    ] {
        assert_eq!(times(&origin(from), &log, ALL, &POLICY), fresh, "{from}");
    }
}

#[test]
fn a_new_row_lives_no_longer_than_the_absolute_timeout_or_its_own_lifetime() {
    let policy = lived(IDLE, Some(300));
    assert_eq!(times(&Origin::FRESH, &[insert("a")], ALL, &policy).1, NOW + 300);
    assert_eq!(times(&Origin::FRESH, &[Op::SetTtl(Some(100))], ALL, &policy).1, NOW + 100);
    assert_eq!(times(&Origin::FRESH, &[Op::SetTtl(Some(2 * IDLE))], ALL, &POLICY).1, FULL);
}

#[test]
fn a_change_of_a_young_session_moves_neither_row_nor_cookie() {
    let young = NOW + 950;
    let expected = (YOUNG, young, Some(young), false, false);
    assert_eq!(times(&origin("young"), &[insert("a")], ALL, &POLICY), expected);
}

#[test]
fn a_refresh_moves_row_and_cookie_together_with_or_without_data() {
    let expected = (DUE, FULL, Some(FULL), true, true);
    for from in ["due", "stale"] {
        assert_eq!(times(&origin(from), &[], ALL, &POLICY), expected, "{from}");
        assert_eq!(times(&origin(from), &[insert("a")], ALL, &POLICY), expected, "{from}");
    }
}

#[test]
fn a_refresh_is_due_below_the_share_and_not_at_it() {
    let left = |left: i64| {
        let old = Snapshot { ttl: NOW + left, cookie: Some(NOW + left), ..age("young") };
        kind(&planned(&live(old, false), &[], ALL, &POLICY))
    };
    assert_eq!((left(899), left(900)), ("touch", "-"));
}

#[test]
fn a_request_that_polls_refreshes_nothing_even_with_a_change() {
    let expected = (DUE, NOW + 500, Some(NOW + 500), false, false);
    assert_eq!(times(&origin("due"), &[insert("a")], POLL, &POLICY), expected);
}

#[test]
fn after_the_head_the_row_is_refreshed_and_the_last_cookie_remembered() {
    assert_eq!(times(&origin("due"), &[], LATE, &POLICY), (DUE, FULL, Some(NOW + 500), true, false));
    assert_eq!(planned(&origin("stale"), &[], LATE, &POLICY), Plan::Nothing);
}

#[test]
fn a_request_that_was_led_refreshes_the_row_and_gets_no_cookie() {
    let expected = (DUE, FULL, Some(NOW + 500), true, false);
    assert_eq!(times(&origin("~due"), &[], ALL, &POLICY), expected);
    assert_eq!(times(&origin("~due"), &[insert("a")], ALL, &POLICY), expected);
    assert_eq!(times(&origin("~young"), &op("login"), ALL, &POLICY), (NOW, FULL, Some(FULL), true, true));
}

#[test]
fn a_refresh_goes_up_to_the_absolute_timeout_and_not_beyond() {
    let end = NOW + 100;
    let old = Snapshot { ttl: NOW + 50, cookie: Some(NOW + 50), ..age("last") };
    assert_eq!(times(&live(old, false), &[], ALL, &POLICY), (NOW - 4900, end, Some(end), true, true));
}

#[test]
fn a_login_restarts_the_absolute_clock_and_a_cycle_does_not() {
    assert_eq!(times(&origin("last"), &op("login"), ALL, &POLICY), (NOW, FULL, Some(FULL), true, true));
    let end = NOW + 100;
    assert_eq!(times(&origin("last"), &op("cycle"), ALL, &POLICY), (NOW - 4900, end, Some(end), true, true));
}

#[test]
fn a_rotation_is_told_even_where_the_request_renews_nothing() {
    assert_eq!(times(&origin("young"), &op("cycle"), POLL, &POLICY), (YOUNG, FULL, Some(FULL), true, true));
}

#[test]
fn a_lifetime_of_its_own_is_in_row_and_cookie_at_once() {
    let shorter = NOW + 100;
    for means in [ALL, POLL] {
        let expected = (YOUNG, shorter, Some(shorter), true, true);
        assert_eq!(times(&origin("young"), &op("set_ttl"), means, &POLICY), expected);
    }
    let late = (YOUNG, shorter, Some(NOW + 950), true, false);
    assert_eq!(times(&origin("young"), &op("set_ttl"), LATE, &POLICY), late);
    assert_eq!(times(&origin("~young"), &op("set_ttl"), ALL, &POLICY), late);
}

#[test]
fn a_session_with_a_lifetime_of_its_own_is_refreshed_by_its_share() {
    let own = |left: i64| {
        live(Snapshot { lifetime: Some(100), ttl: NOW + left, cookie: Some(NOW + left), ..age("young") }, false)
    };
    assert_eq!(planned(&own(90), &[], ALL, &POLICY), Plan::Nothing);
    assert_eq!(times(&own(89), &[], ALL, &POLICY), (YOUNG, NOW + 100, Some(NOW + 100), true, true));
    assert_eq!(times(&own(90), &[Op::SetTtl(None)], ALL, &POLICY).1, FULL);
}

#[test]
fn a_switch_to_a_browser_session_cookie_is_told_at_once() {
    assert_eq!(times(&origin("young"), &op("remember"), ALL, &POLICY), (YOUNG, FULL, None, true, true));
    let (_, _, cookie, _, told) = times(&origin("young"), &[Op::Remember(true)], ALL, &POLICY);
    assert_eq!((cookie, told), (Some(NOW + 950), false), "it is persistent already");
}

#[test]
fn a_switch_after_the_head_is_told_by_the_next_request() {
    let young = NOW + 950;
    for (remember, before, after) in [(false, Some(young), None), (true, None, Some(FULL))] {
        let policy = Policy { remember: !remember, ..POLICY };
        let old = live(Snapshot { cookie: before, ..age("young") }, false);
        let Times { ttl, cookie, refreshed, told, .. } = next(planned(&old, &[Op::Remember(remember)], LATE, &policy));
        assert_eq!((ttl, cookie, refreshed, told), (young, before, false, false));
        let switched = live(Snapshot { remember: Some(remember), cookie, ..age("young") }, false);
        assert_eq!(planned(&switched, &[], POLL, &policy), Plan::Nothing);
        assert_eq!(times(&switched, &[], ALL, &policy), (YOUNG, FULL, after, true, true));
    }
}

#[test]
fn a_browser_session_cookie_and_a_header_are_told_once_and_never_refreshed() {
    for policy in [Policy { remember: false, ..POLICY }, Policy { cookies: false, ..POLICY }] {
        assert_eq!(times(&Origin::FRESH, &[insert("a")], ALL, &policy), (NOW, FULL, None, true, true));
        let due = live(Snapshot { cookie: None, ..age("due") }, false);
        assert_eq!(times(&due, &[], ALL, &policy), (DUE, FULL, None, true, false));
        assert_eq!(times(&due, &op("cycle"), ALL, &policy), (DUE, FULL, None, true, true));
    }
}

#[test]
fn a_row_that_lives_longer_than_the_configuration_allows_is_cut_to_it() {
    let old = |ttl: i64| Snapshot { ttl, cookie: None, ..age("young") };
    for ttl in [NOW * 1000, NOW + 4 * IDLE, i64::MAX] {
        let expected = (YOUNG, FULL, Some(FULL), true, true);
        for means in [ALL, POLL] {
            assert_eq!(times(&live(old(ttl), false), &[], means, &POLICY), expected, "{ttl}");
        }
        assert_eq!(times(&live(old(ttl), false), &[], LATE, &POLICY), (YOUNG, FULL, None, true, false));
    }
    // Clocks differ by seconds, and nothing follows from that.
    assert_eq!(planned(&live(old(FULL + 30), false), &[], ALL, &POLICY), Plan::Nothing);
}

/// A live row of ann's, used at `NOW - 10`, with this lifetime left.
fn signed_in(remember: Option<bool>, left: i64) -> Origin {
    let (ttl, cookie) = (NOW + left, Some(NOW + left).filter(|_| remember != Some(false)));
    let (data, principal) = (Data::new(vec![(Text::from("k"), value(1))]), Some("ann".into()));
    let snapshot =
        Snapshot { codec: Codec::Json, data, principal, lifetime: None, remember, started: NOW - 10, ttl, cookie };
    Origin::Live { snapshot: Arc::new(snapshot), led: false }
}

/// Visitors 100 s, signed in 1000 s and 5000 s, remembered 10000 s without an end.
const KINDS: Policy = {
    let visitor = Lifetimes { idle: 100, absolute: Some(ABSOLUTE) };
    Policy { visitor, remembered: Lifetimes { idle: 10_000, absolute: None }, remember: false, ..POLICY }
};

#[test]
fn each_kind_of_session_has_its_own_lifetime() {
    let new = |log: &[Op]| times(&Origin::FRESH, log, ALL, &KINDS).1 - NOW;
    let ann = || Op::Login("ann".into());
    assert_eq!(new(&[insert("a")]), 100);
    assert_eq!(new(&[insert("a"), Op::Remember(true)]), 100, "nobody is remembered who did not sign in");
    assert_eq!(new(&[ann()]), 1000);
    assert_eq!(new(&[ann(), Op::Remember(true)]), 10_000);
    assert_eq!(new(&[Op::Remember(true), ann()]), 1000, "a login starts a life");
    assert_eq!(new(&[ann(), Op::SetTtl(Some(5000))]), 1000);
    assert_eq!(new(&[ann(), Op::Remember(true), Op::SetTtl(Some(5000))]), 5000);
}

#[test]
fn who_becomes_another_kind_gets_its_lifetime_at_once() {
    let remembered = times(&signed_in(None, 990), &[Op::Remember(true)], POLL, &KINDS);
    assert_eq!(remembered, (NOW - 10, NOW + 10_000, Some(NOW + 10_000), true, true));
    let forgotten = times(&signed_in(Some(true), 9990), &[Op::Remember(false)], POLL, &KINDS);
    assert_eq!(forgotten, (NOW - 10, FULL, None, true, true));
}

#[test]
fn the_absolute_timeout_that_counts_is_that_of_the_kind() {
    let origin = |remember| match signed_in(remember, 990) {
        Origin::Live { snapshot, .. } => Snapshot { started: NOW - ABSOLUTE, ..(*snapshot).clone() },
        _ => unreachable!(),
    };
    assert!(!KINDS.is_live(&origin(None), NOW) && KINDS.is_live(&origin(Some(true)), NOW));
}

const DAY: i64 = 86_400;

#[test]
fn a_cookie_lives_400_days_at_most_and_is_renewed_before_it_ends() {
    let policy = lived(401 * DAY, None);
    let new = times(&Origin::FRESH, &[insert("a")], ALL, &policy);
    assert_eq!(new, (NOW, NOW + 401 * DAY, Some(NOW + 400 * DAY), true, true));
    // Rows of all lengths: the cookie is refreshed when a tenth of its own 400 days is gone, and not on each request.
    for idle in [401, 3652] {
        for absolute in [None, Some(4000)] {
            let policy = lived(idle * DAY, absolute.map(|days| days * DAY));
            let after = |days: i64| {
                let started = NOW - days * DAY;
                let (ttl, cookie) = (started + idle * DAY, Some(started + 400 * DAY));
                let Origin::Live { snapshot, .. } = signed_in(None, 0) else { unreachable!() };
                let snapshot = Snapshot { started, ttl, cookie, ..(*snapshot).clone() };
                planned(&Origin::Live { snapshot: Arc::new(snapshot), led: false }, &[], ALL, &policy)
            };
            assert_eq!(after(40), Plan::Nothing, "{idle} {absolute:?}");
            let Times { ttl, cookie, told, .. } = next(after(41));
            let end = absolute.map_or(i64::MAX, |days| NOW + (days - 41) * DAY);
            assert_eq!((ttl, cookie, told), ((NOW + idle * DAY).min(end), Some(NOW + 400 * DAY), true), "{idle}");
        }
    }
}

#[test]
fn a_cookie_is_renewed_also_where_the_absolute_timeout_keeps_the_row_as_it_is() {
    let policy = lived(1000 * DAY, Some(1000 * DAY));
    let Origin::Live { snapshot, .. } = signed_in(None, 0) else { unreachable!() };
    let (started, ttl, cookie) = (NOW - 100 * DAY, NOW + 900 * DAY, Some(NOW + 300 * DAY));
    let snapshot = Snapshot { started, ttl, cookie, ..(*snapshot).clone() };
    let plan = planned(&Origin::Live { snapshot: Arc::new(snapshot), led: false }, &[], ALL, &policy);
    let expected = Times { started, ttl, cookie: Some(NOW + 400 * DAY), refreshed: true, told: true };
    assert_eq!(plan, Plan::Touch(expected));
}

#[test]
fn a_row_that_outlives_the_configuration_is_cut_to_it_at_its_next_use() {
    // As by another program: in milliseconds.
    let odd = signed_in(None, 1_767_225_600_000);
    assert_eq!(times(&odd, &[], POLL, &POLICY), (NOW - 10, FULL, Some(FULL), true, true));
    assert_eq!(times(&odd, &[], LATE, &POLICY).1, FULL);
    assert_eq!(times(&odd, &[insert("a")], ALL, &POLICY).1, FULL);
}
