//! Random programs: of whole requests that overlap, of one rich request after the other, and of acts of several requests on
//! two nodes.

use std::fmt;

use proptest::prelude::*;
use rocket_dynamodb_sessions::testing::Effect;

use crate::act::{Act, HANDLER, KEYS, LANES, Lane};
use crate::flight::{How, Move};
use crate::world::{BEFORE, BROWSERS, LAST, Step};

/// A program, and whether its server brings no row with a failed condition.
#[derive(Clone)]
pub struct Program {
    pub steps: Vec<Step>,
    pub silent: bool,
}

/// A line a step.
impl fmt::Debug for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.silent { "on a server that brings no rows" } else { "" })?;
        self.steps.iter().try_for_each(|step| write!(f, "\n    {step:?}"))
    }
}

fn one(step: Step) -> Vec<Step> {
    vec![step]
}

fn program(steps: impl Strategy<Value = Vec<Vec<Step>>> + 'static) -> BoxedStrategy<Program> {
    let silent = prop::bool::weighted(0.2);
    (steps, silent).prop_map(|(steps, silent)| Program { steps: steps.concat(), silent }).boxed()
}

fn key() -> impl Strategy<Value = usize> {
    0..KEYS.len()
}

fn change() -> BoxedStrategy<Act> {
    prop_oneof![
        5 => key().prop_map(Act::Increment),
        // Another key: over its own, a closure runs on, but runs again where another request has changed it.
        2 => (key(), 1..KEYS.len()).prop_map(|(key, other)| Act::Nested(key, (key + other) % KEYS.len())),
        2 => key().prop_map(Act::Token),
        2 => key().prop_map(Act::Insert),
        2 => key().prop_map(Act::Remove),
        1 => Just(Act::Clear),
        3 => (0..2_u8).prop_map(Act::Login),
        3 => Just(Act::Cycle),
        3 => Just(Act::Invalidate),
        1 => Just(Act::SetTtl),
        1 => Just(Act::SkipRenewal),
    ]
    .boxed()
}

fn act() -> BoxedStrategy<Act> {
    prop_oneof![
        24 => change(),
        2 => key().prop_map(Act::Take),
        5 => Just(Act::Flush),
        3 => Just(Act::Reload),
    ]
    .boxed()
}

fn effect() -> BoxedStrategy<Effect> {
    prop_oneof![
        4 => Just(Effect::LoseAnswer),
        2 => Just(Effect::LateFirst),
        2 => Just(Effect::Late),
        1 => Just(Effect::Reset),
        1 => Just(Effect::Throttle),
        1 => Just(Effect::TransactionConflict),
        1 => Just(Effect::Status(500)),
    ]
    .boxed()
}

/// A fault of the node's next writes: of one, or of as many as fail a commit.
fn fault(node: usize) -> BoxedStrategy<Step> {
    let times = prop_oneof![6 => Just(1_usize), 2 => Just(2), 2 => Just(4)];
    let fault = (0..2_usize, times, effect());
    fault.prop_map(move |(skip, times, effect)| Step::Fault { node, skip, times, effect }).boxed()
}

fn pass() -> BoxedStrategy<Step> {
    let seconds = prop_oneof![
        3 => Just(1_i64),
        3 => Just(401),
        2 => Just(1_201),
        2 => Just(3_307),
        1 => Just(9_713),
        1 => Just(-1),
        1 => Just(-150),
        1 => Just(-401),
    ];
    seconds.prop_map(Step::Pass).boxed()
}

fn how() -> BoxedStrategy<How> {
    prop_oneof![
        10 => Just(How::Answer(200)),
        2 => Just(How::Answer(500)),
        1 => Just(How::Answer(404)),
        2 => Just(How::Stream(200)),
        1 => Just(How::Stream(500)),
        1 => Just(How::Panic),
        1 => Just(How::Cancel),
    ]
    .boxed()
}

fn browser() -> std::ops::Range<usize> {
    0..BROWSERS
}

/// What happens between requests.
fn between() -> BoxedStrategy<Step> {
    prop_oneof![
        4 => pass(),
        2 => Just(Step::Sweep),
        1 => browser().prop_map(|browser| Step::Revoke { browser }),
        2 => (browser(), browser()).prop_map(|(from, to)| Step::Plant { from, to }),
        1 => browser().prop_map(|browser| Step::Extra { browser }),
        1 => Just(Step::Deliver),
    ]
    .boxed()
}

fn lane() -> BoxedStrategy<Lane> {
    prop_oneof![5 => Just(HANDLER), 2 => Just(1_usize), 1 => Just(2_usize)].boxed()
}

/// Whole requests that overlap: each loads, waits while others run, and then does all at once.
pub fn overlapping() -> BoxedStrategy<Program> {
    let acts = prop::collection::vec(prop_oneof![10 => change(), 2 => Just(Act::Flush)], 0..4);
    let whole = (0..8_usize, prop::option::weighted(0.4, (0..2_usize).prop_flat_map(fault)), acts);
    let whole = whole.prop_map(|(which, fault, acts)| {
        let moves = acts.into_iter().map(|act| Move::Act(HANDLER, act)).chain([Move::End(How::Answer(200))]);
        let moves = moves.enumerate().map(move |(at, does)| {
            let which = if at == 0 { which } else { LAST };
            Step::Move { which, does }
        });
        fault.into_iter().chain(moves).collect::<Vec<_>>()
    });
    let start = (browser(), 0..2_usize).prop_map(|(browser, node)| vec![Step::Start { browser, node }]);
    let steps = prop_oneof![8 => start, 8 => whole, 4 => between().prop_map(one)];
    program(prop::collection::vec(steps, 4..30))
}

/// One request after the other, each of them long and rich.
pub fn sequential() -> BoxedStrategy<Program> {
    let moves = |does: BoxedStrategy<Move>| does.prop_map(|does| Step::Move { which: 0, does });
    let acts = || (lane(), act()).prop_map(|(lane, act)| Move::Act(lane, act)).boxed();
    let close =
        || (0..LANES, prop::bool::weighted(0.3)).prop_map(|(lane, panics)| Move::Close { lane, panics }).boxed();
    // The clock passes an end, and goes back before it, while the session is looked at.
    let back =
        (prop_oneof![Just(301_i64), Just(10_001)], lane(), prop::bool::ANY).prop_map(|(seconds, lane, reloads)| {
            let look = |does| Step::Move { which: 0, does: Move::Act(lane, does) };
            let first = look(if reloads { Act::Reload } else { Act::Flush });
            vec![Step::Pass(seconds), first, Step::Pass(-seconds), look(Act::Reload)]
        });
    let inside = move || {
        prop_oneof![
            24 => moves(acts()).prop_map(one),
            2 => moves(close()).prop_map(one),
            4 => fault(0).prop_map(one),
            2 => pass().prop_map(one),
            1 => back.clone(),
            1 => Just(one(Step::Sweep)),
            1 => Just(one(Step::Deliver)),
        ]
    };
    let request = (
        0..2_usize,
        prop::collection::vec(inside(), 0..10),
        how(),
        prop::collection::vec(inside(), 0..5),
        prop::collection::vec(between(), 0..2),
    );
    let request = request.prop_map(|(browser, before, how, after, between)| {
        let closes = (0..LANES).map(|lane| Move::Close { lane, panics: false });
        let moved = |does| Step::Move { which: 0, does };
        let start = std::iter::once(Step::Start { browser, node: 0 });
        let end = std::iter::once(moved(Move::End(how)));
        let made = start.chain(before.concat()).chain(end).chain(after.concat());
        made.chain(closes.map(moved)).chain(between).collect::<Vec<_>>()
    });
    program(prop::collection::vec(request, 1..6))
}

/// Acts of several requests on two nodes, one beside the other and one within the other.
pub fn parallel() -> BoxedStrategy<Program> {
    let moves = || {
        prop_oneof![
            16 => (lane(), act()).prop_map(|(lane, act)| Move::Act(lane, act)),
            6 => how().prop_map(Move::End),
            1 => (0..LANES, prop::bool::weighted(0.3)).prop_map(|(lane, panics)| Move::Close { lane, panics }),
        ]
        .boxed()
    };
    // What commits is worth being done at once.
    let commits = || {
        prop_oneof![
            4 => Just(Move::Act(HANDLER, Act::Flush)),
            1 => key().prop_map(|key| Move::Act(HANDLER, Act::Take(key))),
            4 => how().prop_map(Move::End),
        ]
        .boxed()
    };
    let start = |browser, node| Step::Start { browser, node };
    let does = |which| move |does| Step::Move { which, does };
    let within = || (commits(), effect(), commits());
    // Two requests of one browser on two nodes: both load, both change, and then one commits within the other's commit.
    let changes = || prop::collection::vec(act(), 1..3);
    let duel = (0..2_usize, 0..2_usize, changes(), changes(), prop::bool::weighted(0.8), within());
    let duel = duel.prop_map(move |(browser, node, ours, theirs, apart, (ends, effect, beside))| {
        let acts = |acts: Vec<Act>| {
            let act = move |(at, act)| does(if at == 0 { BEFORE } else { LAST })(Move::Act(HANDLER, act));
            acts.into_iter().enumerate().map(act)
        };
        let both = [start(browser, node), start(browser, 1 - node)];
        let meet = match apart {
            true => Step::Within { which: BEFORE, does: ends, effect, beside },
            false => Step::Both { which: BEFORE, does: ends, beside },
        };
        both.into_iter().chain(acts(ours)).chain(acts(theirs)).chain([meet]).collect::<Vec<_>>()
    });
    let step = prop_oneof![
        6 => (0..2_usize, 0..2_usize).prop_map(move |(browser, node)| one(start(browser, node))),
        20 => (0..4_usize, moves()).prop_map(move |(which, act)| one(does(which)(act))),
        3 => (0..4_usize, commits(), commits())
            .prop_map(|(which, does, beside)| one(Step::Both { which, does, beside })),
        3 => (0..4_usize, within()).prop_map(|(which, (does, effect, beside))| {
            one(Step::Within { which, does, effect, beside })
        }),
        5 => duel,
        2 => (0..2_usize).prop_flat_map(fault).prop_map(one),
        2 => between().prop_map(one),
    ];
    // Most programs begin with a session.
    let first =
        move |act| vec![start(0, 0), does(LAST)(Move::Act(HANDLER, act)), does(LAST)(Move::End(How::Answer(200)))];
    let first = prop::option::weighted(0.8, change().prop_map(first));
    let steps = (first, prop::collection::vec(step, 4..28));
    program(steps.prop_map(|(first, steps)| first.into_iter().chain(steps).collect()))
}
