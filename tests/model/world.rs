//! The world: two nodes on one table, browsers, clocks, faults, and the models that still explain what was seen.

use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use rocket::futures::future::{Either, join, select};
use rocket::http::Header;
use rocket::local::asynchronous::Client;
use rocket_dynamodb_sessions::testing::{Effect, Faults, On, TestClock};
use rocket_dynamodb_sessions::{Config, Lifetime, SessionId, Sessions, Verify};

use crate::act::{Act, HANDLER};
use crate::app::{Seats, Sight, all, line};
use crate::flight::{Flight, How, Move, Open, Saw};
use crate::oracle::{Ended, Heard, Model, Models, Report, distinct};
use crate::support::{self, Bed, cookie};
use crate::table::{ABSOLUTE, Body, IDLE};

pub const BROWSERS: usize = 3;
/// The second node's clock is this much ahead.
const SKEW: i64 = 2;
/// So many attempts of one write may fail.
const ATTEMPTS: usize = 4;
const MOST_FAULTS: usize = 5;
const MOST_OPEN: usize = 4;
/// How often the table is looked at for a write that nobody waits for, with two milliseconds between.
const PATIENCE: usize = 200;
/// Of the open requests, the one that did something last.
pub const LAST: usize = usize::MAX;
/// And the one before that.
pub const BEFORE: usize = LAST - 1;

#[derive(Clone, Debug)]
pub enum Step {
    Start {
        browser: usize,
        node: usize,
    },
    Move {
        which: usize,
        does: Move,
    },
    /// Two requests at once.
    Both {
        which: usize,
        does: Move,
        beside: Move,
    },
    /// The first write of one request meets a fault, and its next attempt waits until another request on the other node
    /// has done something.
    Within {
        which: usize,
        does: Move,
        effect: Effect,
        beside: Move,
    },
    Fault {
        node: usize,
        skip: usize,
        times: usize,
        effect: Effect,
    },
    Pass(i64),
    Sweep,
    Revoke {
        browser: usize,
    },
    /// One browser's cookie is planted in another.
    Plant {
        from: usize,
        to: usize,
    },
    /// Another program adds an attribute.
    Extra {
        browser: usize,
    },
    Deliver,
}

/// A step of a model.
#[derive(Clone, Copy)]
enum Event {
    Does { number: u32, does: Move, first: u64, node: usize },
    Looks { number: u32, node: usize },
}

pub struct World<'c> {
    bed: &'c Bed,
    nodes: &'c [Client],
    faults: [Faults; 2],
    clocks: [TestClock; 2],
    /// The server brings no row with a failed condition.
    silent: bool,
    models: Models,
    jars: Vec<Option<SessionId>>,
    open: Vec<Open<'c>>,
    number: u32,
    /// How many faults were ordered on each node since they were last taken away.
    ordered: [usize; 2],
    late: bool,
    /// A write may be under way that nobody waits for.
    unheard: bool,
    /// Something came to the table past the nodes.
    checks: bool,
    /// No fault is in the way of what is done now.
    exact: bool,
    pub checked: usize,
}

impl<'c> World<'c> {
    pub fn new(bed: &'c Bed, nodes: &'c [Client], faults: [Faults; 2], clocks: [TestClock; 2], silent: bool) -> Self {
        let (models, jars) = (vec![Model::default()], vec![None; BROWSERS]);
        let mut world = Self {
            bed,
            nodes,
            faults,
            clocks,
            silent,
            models,
            jars,
            open: Vec::new(),
            number: 0,
            ordered: [0; 2],
            late: false,
            unheard: false,
            checks: false,
            exact: true,
            checked: 0,
        };
        (0..2).for_each(|node| world.heal(node));
        world
    }

    fn now(&self, node: usize) -> i64 {
        self.clocks[node].now().timestamp()
    }

    fn both_now(&self) -> [i64; 2] {
        [self.now(0), self.now(1)]
    }

    fn heal(&mut self, node: usize) {
        self.faults[node].clear();
        self.ordered[node] = 0;
        if self.silent {
            self.faults[node].inject(On::any().always(), Effect::WithoutRow);
        }
    }

    fn key(&self, id: &SessionId) -> String {
        support::sessions(&self.nodes[0]).handle_of(id).to_string()
    }

    // ---- what the models say -----------------------------------------------------------------------------------------------

    fn play(&self, models: Models, events: &[Event]) -> Models {
        let mut models = models;
        for event in events {
            let played = models.into_iter().flat_map(|model| match *event {
                Event::Looks { number, node } => vec![model.look(number, self.now(node))],
                Event::Does { number, does, first, node } => self.play_move(model, number, does, first, node),
            });
            models = distinct(played.collect());
        }
        models
    }

    fn play_move(&self, model: Model, number: u32, does: Move, first: u64, node: usize) -> Models {
        let now = self.now(node);
        let fails = (self.ordered[node] >= ATTEMPTS).then_some(Ended::Failed { late: self.late });
        let mut models = Vec::new();
        for ended in [Some(Ended::Well), fails].into_iter().flatten() {
            models.extend(match does {
                Move::Act(lane, act) => {
                    let mut model = model.clone();
                    model.req(number).holders.insert(lane);
                    model.act(number, lane, act, first, ended, now)
                }
                Move::Close { .. } | Move::End(How::Cancel) if ended != Ended::Well => continue,
                Move::Close { lane, panics } => model.clone().close(number, lane, panics, now),
                Move::End(How::Cancel) => model.clone().cancel(number, now),
                Move::End(how) => {
                    // The guard drops before the response is made, but for one that moved into a stream.
                    let mut models = vec![model.clone()];
                    if !matches!(how, How::Stream(_)) {
                        models = model.clone().close(number, HANDLER, how == How::Panic, now);
                    }
                    let fails = how.status() >= 500;
                    let finished = models.into_iter().flat_map(|model| model.finish(number, fails, ended, now));
                    // An error takes the place of the stream, which drops.
                    let drops = |model: &mut Model| matches!(how, How::Stream(_)) && model.req(number).said == "failed";
                    let close = |mut model: Model| match drops(&mut model) {
                        true => model.close(number, HANDLER, false, now),
                        false => vec![model],
                    };
                    finished.flat_map(close).collect()
                }
            });
        }
        models
    }

    /// Plays these events in each of these orders; what then can be, is.
    fn plays(&mut self, orders: &[Vec<Event>]) {
        let models = std::mem::take(&mut self.models);
        let mut played: Models = orders.iter().flat_map(|order| self.play(models.clone(), order)).collect();
        if self.late {
            played = played.into_iter().flat_map(|model| model.may_arrive(self.both_now())).collect();
        }
        self.models = distinct(played);
    }

    /// Keeps the models that explain what was seen.
    #[track_caller]
    fn keep(&mut self, what: &str, mut explains: impl FnMut(&mut Model) -> Result<(), String>) {
        let mut reasons = Vec::new();
        self.models.retain_mut(|model| explains(model).map_err(|reason| reasons.push(reason)).is_ok());
        reasons.sort();
        reasons.dedup();
        assert!(!self.models.is_empty(), "{what}: no model explains it:\n  {}", reasons.join("\n  "));
        self.models = distinct(std::mem::take(&mut self.models));
    }

    fn observe(&mut self, open: &Open<'_>, does: Move, saw: Saw) {
        let number = open.number;
        match saw {
            Saw::Nothing => {}
            Saw::Sight(sight) => {
                let key = sight.id.as_deref().and_then(Sessions::parse_id).map(|id| self.key(&id));
                let Sight { said, handle, status, principal, data, .. } = sight;
                let report = Report { said, key, handle, status, principal, data };
                self.keep(&format!("request {number}: {does:?}"), |model| model.explains(number, &report));
            }
            Saw::Head { status, cookie } => {
                let Move::End(how) = does else { unreachable!("a head ends") };
                let id = cookie.as_ref().and_then(|cookie| Sessions::parse_id(cookie.value()));
                let heard = match (&cookie, &id) {
                    (None, _) => Heard::Nothing,
                    (Some(cookie), None) => {
                        assert_eq!(cookie.value(), "", "an ID or a removal");
                        Heard::Removed
                    }
                    (Some(cookie), Some(id)) => {
                        Heard::Set { key: self.key(id), max_age: cookie.max_age().map(|age| age.whole_seconds()) }
                    }
                };
                let now = self.now(open.node);
                self.keep(&format!("request {number}: {does:?}: {status}"), |model| {
                    let expected = if model.req(number).said == "failed" { 503 } else { how.status() };
                    if status != expected {
                        return Err(format!("{status} is not {expected}"));
                    }
                    model.told(number, &heard, now)
                });
                match heard {
                    Heard::Nothing => {}
                    Heard::Removed => self.jars[open.browser] = None,
                    Heard::Set { .. } => self.jars[open.browser] = id,
                }
            }
        }
    }

    /// Compares table and counters with the models; a write that nobody waits for may take a moment.
    async fn check(&mut self) {
        let asked: usize = self.faults.iter().map(|faults| faults.calls().len()).sum();
        self.faults.iter().for_each(Faults::reset_counts);
        if asked == 0 && !self.unheard && !self.checks {
            return;
        }
        self.checks = false;
        let mut tries = if std::mem::take(&mut self.unheard) { 0 } else { PATIENCE };
        loop {
            let rows = self.bed.rows().await;
            let stats = [0, 1].map(|node| support::sessions(&self.nodes[node]).stats());
            let exact = self.exact;
            let explains = |model: &mut Model| {
                model.agrees(&rows)?;
                for (node, stats) in stats.iter().enumerate() {
                    if stats.dropped != model.dropped[node] {
                        return Err(format!("{} commits dropped, and not {}", stats.dropped, model.dropped[node]));
                    }
                    // A refresh that finds itself does not count itself.
                    if exact && stats.commits != model.commits[node] {
                        return Err(format!("{} writes, and not {}", stats.commits, model.commits[node]));
                    }
                }
                Ok(())
            };
            if tries >= PATIENCE || self.models.clone().iter_mut().any(|model| explains(model).is_ok()) {
                self.keep("the table", explains);
                self.models.iter_mut().for_each(|model| model.commits = stats.each_ref().map(|stats| stats.commits));
                return;
            }
            tries += 1;
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    // ---- steps -------------------------------------------------------------------------------------------------------------

    async fn start(&mut self, browser: usize, node: usize) {
        if self.open.len() == MOST_OPEN {
            return;
        }
        self.number += 1;
        let (number, now) = (self.number, self.now(node));
        let key = self.jars[browser].map(|id| self.key(&id));
        let models = std::mem::take(&mut self.models).into_iter();
        self.models = models.map(|model| model.load(number, key.as_deref(), node, now)).collect();
        let client = &self.nodes[node];
        let (line, seat) = line();
        client.rocket().state::<Seats>().expect("managed").0.lock().expect("no panic").insert(number, seat);
        let mut request = client.get("/");
        request.add_header(Header::new("X-Number", number.to_string()));
        if let Some(id) = &self.jars[browser] {
            request = request.cookie(cookie(id));
        }
        let flight = Flight::Dispatch(Box::pin(request.dispatch()));
        let mut open = Open { number, browser, node, flight, lines: [Some(line), None, None], acts: 0 };
        let sight = open.drive(HANDLER, async |line| line.sights.recv().await.expect("it has loaded")).await;
        self.observe(&open, Move::Act(HANDLER, Act::Flush), Saw::Sight(sight));
        self.open.push(open);
    }

    /// Takes a request that can do this; what it does, some of it at least, it can do.
    fn take(&mut self, which: usize, does: Move) -> Option<(Open<'c>, Move)> {
        if self.open.is_empty() {
            return None;
        }
        let open = self.open.len();
        let which = match which {
            LAST => open - 1,
            BEFORE => open.saturating_sub(2),
            which => which % open,
        };
        let does = self.open[which].possible(does)?;
        Some((self.open.remove(which), does))
    }

    fn put_back(&mut self, open: Open<'c>) {
        if open.lines.iter().any(Option::is_some) {
            self.open.push(open);
        } else {
            self.checked += 1;
            for model in &mut self.models {
                model.reqs.remove(&open.number);
            }
        }
    }

    fn event(open: &Open<'_>, does: Move) -> Event {
        Event::Does { number: open.number, does, first: open.first(), node: open.node }
    }

    /// A flush that nobody waits for meets no fault: nobody would hear of it, nor when it is over.
    fn spare(&mut self, open: &Open<'_>, does: Move) {
        let unheard = match does {
            Move::Act(..) => false,
            // An error may take the place of a stream, whose holder drops then.
            Move::End(how) => matches!(how, How::Cancel | How::Stream(_)),
            Move::Close { .. } => open.head_sent(),
        };
        self.unheard |= unheard;
        if unheard && !matches!(does, Move::End(How::Stream(_))) && self.ordered[open.node] > 0 {
            self.heal(open.node);
            self.exact = true;
        }
    }

    async fn moves(&mut self, which: usize, does: Move) {
        let Some((mut open, does)) = self.take(which, does) else { return };
        self.spare(&open, does);
        let event = Self::event(&open, does);
        let saw = open.does(does).await;
        self.plays(&[vec![event]]);
        self.observe(&open, does, saw);
        self.put_back(open);
    }

    async fn both(&mut self, which: usize, does: Move, beside: Move) {
        let Some((mut one, does)) = self.take(which, does) else { return };
        let Some((mut two, beside)) = self.take(LAST, beside) else {
            self.open.push(one);
            return;
        };
        self.spare(&one, does);
        self.spare(&two, beside);
        let (a, b) = (Self::event(&one, does), Self::event(&two, beside));
        let looks = |open: &Open<'_>| Event::Looks { number: open.number, node: open.node };
        let (look_a, look_b) = (looks(&one), looks(&two));
        let mut orders = vec![vec![a, b], vec![b, a]];
        if one.node == two.node {
            orders.extend([vec![a, look_b, b], vec![b, look_a, a]]);
        }
        if self.ordered != [0; 2] {
            orders.extend([vec![a, b, look_a], vec![b, a, look_b]]);
        }
        let (saw_one, saw_two) = Box::pin(join(one.does(does), two.does(beside))).await;
        self.plays(&orders);
        self.observe(&one, does, saw_one);
        self.observe(&two, beside, saw_two);
        self.put_back(one);
        self.put_back(two);
    }

    async fn within(&mut self, which: usize, does: Move, effect: Effect, beside: Move) {
        if matches!(does, Move::Close { .. } | Move::End(How::Cancel)) {
            return;
        }
        let Some((mut one, does)) = self.take(which, does) else { return };
        let other = self.open.iter().rposition(|open| open.node != one.node);
        let two = other.and_then(|at| self.take(at, beside));
        let (Some((mut two, beside)), true) = (two, !matches!(does, Move::Close { .. } | Move::End(How::Cancel)))
        else {
            self.open.push(one);
            return;
        };
        (0..2).for_each(|node| self.heal(node));
        self.spare(&two, beside);
        let faults = self.faults[one.node].clone();
        faults.inject(On::writes(), effect.clone());
        self.note(&effect);
        let gate = faults.hold(On::any().skip(1));
        let (a, b) = (Self::event(&one, does), Self::event(&two, beside));
        let look_a = Event::Looks { number: one.number, node: one.node };
        let (orders, saw_one, saw_two);
        match select(Box::pin(one.does(does)), Box::pin(gate.reached())).await {
            Either::Left((saw, _)) => {
                gate.open();
                (orders, saw_one, saw_two) = (vec![vec![a, b]], saw, two.does(beside).await);
            }
            Either::Right(((), rest)) => {
                saw_two = two.does(beside).await;
                gate.open();
                saw_one = rest.await;
                let lost = vec![a, b, look_a];
                orders = if effect == Effect::LoseAnswer { vec![lost, vec![b, a]] } else { vec![vec![b, a]] };
            }
        }
        self.plays(&orders);
        self.observe(&one, does, saw_one);
        self.observe(&two, beside, saw_two);
        self.heal(one.node);
        self.put_back(one);
        self.put_back(two);
    }

    fn note(&mut self, effect: &Effect) {
        self.models.iter_mut().for_each(|model| model.faulty = true);
        self.late |= matches!(effect, Effect::Late | Effect::LateFirst);
    }

    async fn deliver(&mut self) {
        if self.late {
            for faults in &self.faults {
                faults.deliver().await;
            }
            let now = self.both_now();
            let models = std::mem::take(&mut self.models).into_iter();
            self.models = models.map(|model| model.arrive_all(now)).collect();
            self.late = self.faults.iter().any(|faults| faults.pending() > 0);
        }
    }

    async fn sweep(&mut self) {
        // A commit that nobody heard of would not find its tombstone again.
        if self.models.iter().any(|model| model.reqs.values().any(|req| req.sent.is_some())) {
            return;
        }
        self.deliver().await;
        let now = self.now(0).min(self.now(1));
        for row in self.bed.rows().await {
            if row.number("ttl").is_some_and(|ttl| ttl < now) {
                self.bed.delete_key(row.text("id").expect("a key")).await;
            }
        }
        self.models.iter_mut().for_each(|model| model.table.sweep(now));
    }

    async fn revoke(&mut self, browser: usize) {
        let Some(id) = self.jars[browser] else { return };
        self.heal(0);
        let (key, now) = (self.key(&id), self.now(0));
        let sessions = support::sessions(&self.nodes[0]);
        let ended = sessions.revoke(&sessions.handle_of(&id)).await.expect("the store answers");
        self.keep(&format!("a revocation: {ended}"), |model| {
            let at = model.table.named(&key).expect("an ID that was told has a row");
            if model.table.revoke(at, now) != ended {
                return Err("another end".into());
            }
            // The node that revoked knows it at once.
            model.reqs.values_mut().filter(|req| req.node == 0).for_each(|req| req.revoked(at));
            Ok(())
        });
    }

    async fn extra(&mut self, browser: usize) {
        let Some(id) = self.jars[browser].filter(|_| self.open.is_empty()) else { return };
        let key = self.key(&id);
        let live = |model: &Model| model.table.named(&key).is_some_and(|at| model.table.life(at).is_some());
        if !self.models.iter().all(live) {
            return;
        }
        let update = self.bed.dynamo.update_item().table_name(&self.bed.table);
        let update = update.key("id", AttributeValue::S(key.clone())).update_expression("SET note = :note");
        let update = update.expression_attribute_values(":note", AttributeValue::Bool(true));
        update.send().await.expect("the table answers");
        for model in &mut self.models {
            let at = model.table.named(&key).expect("it lives");
            if let Body::Live(life) = &mut model.table.rows[at].body {
                life.extra = true;
            }
        }
    }

    pub async fn step(&mut self, step: Step) {
        self.exact = self.faults.iter().all(|faults| faults.pending() == 0) && !matches!(step, Step::Within { .. });
        match step {
            Step::Start { browser, node } => self.start(browser, node).await,
            Step::Move { which, does } => self.moves(which, does).await,
            Step::Both { which, does, beside } => self.both(which, does, beside).await,
            Step::Within { which, does, effect, beside } => self.within(which, does, effect, beside).await,
            Step::Fault { node, skip, times, effect } => {
                if self.ordered[node] + times <= MOST_FAULTS {
                    for _ in 0..times {
                        self.faults[node].inject(On::writes().skip(skip), effect.clone());
                    }
                    self.ordered[node] += times;
                    self.note(&effect);
                }
                return;
            }
            Step::Pass(seconds) => {
                self.deliver().await;
                for clock in &self.clocks {
                    clock.set(clock.now() + chrono::TimeDelta::seconds(seconds));
                }
                return;
            }
            Step::Sweep => {
                self.checks = true;
                self.sweep().await;
            }
            Step::Revoke { browser } => self.revoke(browser).await,
            Step::Plant { from, to } => {
                self.jars[to] = self.jars[from];
                return;
            }
            Step::Extra { browser } => self.extra(browser).await,
            Step::Deliver => {
                self.checks = true;
                self.deliver().await;
            }
        }
        self.check().await;
    }

    /// Ends what is still open.
    pub async fn end(&mut self) {
        while let Some(open) = self.open.first() {
            let lane = open.lines.iter().position(Option::is_some).expect("somebody holds it");
            let does = if open.head_sent() { Move::Close { lane, panics: false } } else { Move::End(How::Answer(200)) };
            self.step(Step::Move { which: 0, does }).await;
        }
        self.deliver().await;
        self.checks = true;
        self.check().await;
    }
}

/// Runs a program; returns how many requests were checked.
pub async fn run(steps: Vec<Step>, silent: bool) -> usize {
    let bed = Bed::new();
    let ahead = TestClock::starting_at(bed.clock.now() + Duration::from_secs(SKEW.unsigned_abs()));
    let lifetime = |seconds: i64| Lifetime::new(Duration::from_secs(seconds.unsigned_abs())).expect("a lifetime");
    let minute = Duration::from_secs(60);
    let config = Config {
        ttl: lifetime(IDLE),
        absolute_ttl: Some(lifetime(ABSOLUTE)),
        backoff: Duration::from_millis(1),
        deadline: minute,
        attempt_timeout: minute / 2,
        verify: Verify::Off,
        ..bed.config()
    };
    let (clocks, faults) = ([bed.clock.clone(), ahead], [bed.faults.clone(), Faults::new()]);
    let mut nodes = Vec::new();
    for node in 0..2 {
        let on = Bed { clock: clocks[node].clone(), faults: faults[node].clone(), ..bed.clone() };
        let rocket = on.rocket(config.clone(), all()).manage(Seats::default());
        nodes.push(Client::untracked(rocket).await.expect("a valid rocket"));
    }
    let mut world = World::new(&bed, &nodes, faults, clocks, silent);
    for step in steps {
        world.step(step).await;
    }
    world.end().await;
    world.checked
}
