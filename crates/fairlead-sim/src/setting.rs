//! What a world is like, drawn from a seed: its configuration, its backends, its clients, and
//! everything that is going to go wrong.
//!
//! Rules of this file
//! 1. A setting is a value: equal seeds make equal settings.
//! 2. Each pool may have an *anchor*: a backend with good manners and without troubles. What the
//!    claims promise, they promise while there is one.
//! 3. A theme says what a world is about; within it everything is drawn anew for each seed.

mod clients;
mod plan;
mod quiet;
mod scenario;

use std::time::Duration;

use fairlead_balance::Random;
use fairlead_flow::ListenerId;
use fairlead_model::backend::Wish;
use fairlead_model::moment::Moment;
use fairlead_model::plan::Plan;

use crate::backend::{BadManners, Character};
use crate::client::Client;
use crate::network::Weather;
use crate::policy;

/// The listener that speaks HTTP.
pub(crate) const WEB: ListenerId = ListenerId(0);
/// The listener that speaks tcp.
pub(crate) const TCP: ListenerId = ListenerId(1);

/// The slowest good answer takes so long: less than what counts as silence.
const SILENCE: Duration = Duration::from_millis(800);

/// Whatever a drawn world does, it is over by then.
const LONGEST: Duration = Duration::from_secs(900);

/// What a world is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Theme {
    /// Everything is well: then nothing may fail.
    Fair,
    /// Hosts and processes fail.
    Outages,
    /// Backends answer wrongly.
    Manners,
    /// Long bodies, slow readers, slow senders, small buffers.
    Weight,
    /// Clients leave at any moment.
    Leaving,
    /// Tcp.
    Streams,
    /// Tcp, with stops that run out of time and handlers that panic.
    StreamEnds,
    /// Configurations change, operators wish.
    Changes,
    /// A graceful stop in the middle, sometimes one that runs out of time.
    Stops,
    /// Hosts fail for a while, and then nothing goes wrong any more.
    Recovery,
    /// One backend answers every other request by a 500.
    Errors,
    /// Handlers panic, whatever the reason.
    Panics,
    /// All of it at once.
    Mixed,
    /// Backends close idle connections just as a request is on its way to them.
    Crossings,
}

impl Theme {
    /// All themes.
    pub const ALL: [Theme; 14] = [
        Theme::Fair,
        Theme::Outages,
        Theme::Manners,
        Theme::Weight,
        Theme::Leaving,
        Theme::Streams,
        Theme::StreamEnds,
        Theme::Changes,
        Theme::Stops,
        Theme::Recovery,
        Theme::Errors,
        Theme::Panics,
        Theme::Mixed,
        Theme::Crossings,
    ];

    /// Whether its backends and clients speak tcp.
    pub(crate) fn is_tcp(self) -> bool {
        matches!(self, Theme::Streams | Theme::StreamEnds)
    }

    fn has_stops(self) -> bool {
        matches!(self, Theme::Stops | Theme::StreamEnds)
    }

    /// Whether handlers panic: then anything may end at any moment.
    pub(crate) fn has_panics(self) -> bool {
        matches!(self, Theme::Panics | Theme::StreamEnds)
    }
}

/// What happens to a host or the process on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// The process is killed; connects are refused until it is started again.
    Killed {
        /// Its connections are reset, not closed.
        by_reset: bool,
    },
    /// Packets vanish, both ways.
    Swallows,
    /// What is sent to it vanishes.
    SwallowsIn,
    /// What it sends vanishes.
    SwallowsOut,
    /// The host loses power, and starts anew.
    PowerLoss,
    /// The process stands still; its kernel accepts and acknowledges.
    Frozen,
    /// A router says that there is no way.
    Unreachable,
    /// Everything takes so many times longer.
    Slow(u32),
    /// Its check page fails, nothing else.
    Sick,
    /// So many thousandths of what goes to it and comes from it are lost, and sent again.
    Loses(usize),
    /// Packets over 500 bytes vanish, both ways: a way whose largest size nobody is told of.
    LosesLarge,
    /// Every second connection is lost: one of two ways is broken.
    LosesWays,
    /// It accepts, and closes at once.
    Closes,
    /// Every other answer is a 500.
    Errs,
    /// Answers come so many milliseconds later; its check page is as quick as ever.
    Lags(u32),
    /// It breaks off in the middle of every other answer.
    Cuts,
}

/// One trouble.
#[derive(Debug, Clone, Copy)]
pub struct Episode {
    /// Whose.
    pub host: usize,
    /// From when.
    pub from: Moment,
    /// Until when.
    pub until: Moment,
    /// What.
    pub what: Trouble,
}

/// What an operator does.
#[derive(Debug, Clone)]
pub(crate) enum Change {
    /// A new configuration.
    Reload(Plan),
    /// A wish for a backend: pool, its place in the pool, the wish.
    Wish(usize, usize, Wish),
    /// A weight for one.
    Weight(usize, usize, u16),
    /// A graceful stop.
    Stop,
    /// Its time is over.
    Abandon,
    /// A worker panics in a handler for one of its connections (drawn numbers, taken modulo what
    /// there is).
    Panic(usize, usize),
}

/// A world before it begins.
#[derive(Debug)]
pub struct Setting {
    /// Where it comes from.
    pub seed: u64,
    /// What it is about.
    pub theme: Theme,
    /// Workers of the balancer.
    pub workers: usize,
    /// The first configuration.
    pub plan: Plan,
    /// The hosts of each pool.
    pub pools: Vec<Vec<usize>>,
    /// The anchors of each pool.
    pub anchors: Vec<Vec<usize>>,
    /// What goes wrong.
    pub troubles: Vec<Episode>,
    pub(crate) weather: Weather,
    pub(crate) characters: Vec<Character>,
    pub(crate) clients: Vec<(Moment, Client)>,
    pub(crate) changes: Vec<(Moment, Change)>,
    pub(crate) exhaustion: usize,
    /// Whatever happens, it is over by then.
    pub(crate) longest: Duration,
}

/// Draws a duration between two numbers of milliseconds.
pub(crate) fn between(random: &mut Random, least: u64, most: u64) -> Duration {
    Duration::from_millis(least + random.next() % (most - least + 1))
}

/// True once in `n` times.
pub(crate) fn one_in(random: &mut Random, n: usize) -> bool {
    random.below(n) == 0
}

impl Setting {
    /// The world of this theme and seed.
    pub fn of(theme: Theme, seed: u64) -> Setting {
        let mut random = Random::new(seed ^ ((theme as u64 + 1) << 56));
        let random = &mut random;
        let pools = draw_pools(theme, random);
        let hosts: usize = pools.iter().map(Vec::len).sum();
        let anchors: Vec<Vec<usize>> =
            pools.iter().map(|pool| draw_anchors(theme, pool, random)).collect();
        let is_anchor = |host: usize| anchors.iter().flatten().any(|anchor| *anchor == host);
        let weather = draw_weather(theme, random);
        let plan = plan::draw(theme, &pools, &anchors, random);
        let characters: Vec<_> = (0..hosts)
            .map(|host| {
                let pool = pools.iter().position(|pool| pool.contains(&host)).unwrap_or(0);
                let response = plan.pools[pool].timeouts.response.duration();
                draw_character(theme, is_anchor(host), response, random)
            })
            .collect();
        let troubles = (0..hosts)
            .filter(|host| !is_anchor(*host))
            .flat_map(|host| draw_troubles(theme, host, random))
            .collect();
        let lives: Vec<_> = characters.iter().map(|host| crossing(host, &weather)).collect();
        let clients = clients::draw(theme, &plan, &lives, random);
        let mut changes = draw_changes(theme, &plan, &pools, &anchors, random);
        let exhaustion = if theme == Theme::Mixed && one_in(random, 8) { 20 } else { 0 };
        let workers = 1 + random.below(3);
        let mut plan = plan;
        policy::draw(&mut plan, seed);
        for (_, change) in &mut changes {
            if let Change::Reload(plan) = change {
                policy::draw(plan, seed);
            }
        }
        Setting {
            seed,
            theme,
            workers,
            plan,
            pools,
            anchors,
            troubles,
            weather,
            characters,
            clients,
            changes,
            exhaustion,
            longest: LONGEST,
        }
    }

    /// How often a backend is rude.
    pub fn manners(&self, host: usize) -> BadManners {
        self.characters[host].manners
    }

    /// Whether a kept connection to this backend may be closed without a warning just as a
    /// request is sent: then what may not be sent twice can be lost.
    ///
    /// Not among crossings: there a backend closes by its idle time alone, which can be learned.
    pub fn closes_suddenly(&self, host: usize) -> bool {
        let character = &self.characters[host];
        if self.theme == Theme::Crossings {
            return false;
        }
        let counts = character.requests_most < u32::MAX && !character.announces;
        counts || character.idle < Duration::from_millis(1_100)
    }
}

fn draw_pools(theme: Theme, random: &mut Random) -> Vec<Vec<usize>> {
    let count = if theme.is_tcp() { 1 } else { 1 + random.below(2) };
    let mut next = 0;
    let mut pool = || {
        let size = 2 + random.below(4);
        next += size;
        (next - size..next).collect::<Vec<_>>()
    };
    (0..count).map(|_| pool()).collect()
}

/// Usually one, sometimes two; in one pool of eight nobody can be leant on.
fn draw_anchors(theme: Theme, pool: &[usize], random: &mut Random) -> Vec<usize> {
    if matches!(theme, Theme::Fair | Theme::Crossings) {
        return pool.to_vec();
    }
    let first = pool[random.below(pool.len())];
    if theme == Theme::Errors {
        return pool.iter().copied().filter(|host| *host != first).collect();
    }
    match random.below(8) {
        0 => Vec::new(),
        1 => pool.iter().copied().filter(|host| *host <= first).collect(),
        _ => vec![first],
    }
}

fn draw_weather(theme: Theme, random: &mut Random) -> Weather {
    let small = theme == Theme::Weight || one_in(random, 8);
    // Little room over a long way would be slower than any time-out.
    let delays = if small { 2 } else { 4 };
    Weather {
        delay: Duration::from_micros([10, 200, 2_000, 20_000][random.below(delays)]),
        capacity: if small { 1 << (9 + random.below(7)) } else { 256 * 1024 },
        patience: between(random, 5_000, 20_000),
        // Small, so that it is reached.
        backlog: 8,
        resets_destroy: one_in(random, 2),
    }
}

fn draw_character(
    theme: Theme,
    is_anchor: bool,
    response: Duration,
    random: &mut Random,
) -> Character {
    let errors = theme == Theme::Errors;
    let manners = match theme {
        Theme::Errors if !is_anchor => BadManners { wrong_answers: 500, ..BadManners::default() },
        Theme::Manners | Theme::Mixed if !is_anchor => draw_manners(random),
        _ => early_only(theme, random),
    };
    let share = if errors { 0.001 } else { [0.001, 0.01, 0.1, 0.25][random.below(4)] };
    let heavy = theme == Theme::Weight || one_in(random, 6);
    let idle_most = [1_000, 3_000, 20_000][random.below(3)];
    if theme == Theme::Crossings {
        return draw_closer(random);
    }
    Character {
        manners,
        streams: theme.is_tcp(),
        // A second of silence, while another backend answers the same, is a failure.
        delay: response.mul_f64(share).min(SILENCE),
        tail: 1,
        idle: between(random, if is_anchor { 800 } else { 50 }, idle_most),
        requests_most: if one_in(random, 3) { 1 + random.below(12) as u32 } else { u32::MAX },
        announces: !one_in(random, 3),
        tells_idle: one_in(random, 2),
        continues: !one_in(random, 3),
        body_most: if heavy { 300_000 } else { 6_000 },
        pause: between(random, 0, 60),
        hints: true,
        may_err: !errors,
        is_anchor,
    }
}

/// A backend without a fault, but that it lets connections idle for a short and fixed time.
fn draw_closer(random: &mut Random) -> Character {
    let idle_most = [400, 2_000, 6_000][random.below(3)];
    Character {
        manners: BadManners::default(),
        streams: false,
        delay: Duration::from_millis(random.next() % 20),
        tail: 1,
        idle: between(random, 150, idle_most),
        requests_most: u32::MAX,
        announces: true,
        tells_idle: one_in(random, 4),
        continues: true,
        body_most: 6_000,
        pause: Duration::ZERO,
        hints: true,
        may_err: true,
        is_anchor: true,
    }
}

/// Pauses of a client, from and to, after which its next request crosses the idle close of this
/// backend: it leaves here before the FIN has come, and arrives there after it was sent. Four ways
/// lie between the end of an answer there and the arrival of the next request, two of them before
/// the backend's FIN is here.
fn crossing(character: &Character, weather: &Weather) -> (Duration, Duration) {
    let idle = character.idle;
    (idle.saturating_sub(weather.delay * 4), idle.saturating_sub(weather.delay * 2))
}

fn early_only(theme: Theme, random: &mut Random) -> BadManners {
    let early = theme == Theme::Weight && one_in(random, 2);
    BadManners { early_answers: if early { 200 } else { 0 }, ..BadManners::default() }
}

fn draw_manners(random: &mut Random) -> BadManners {
    let mut often = || if one_in(random, 3) { random.below(120) } else { 0 };
    BadManners {
        garbage: often(),
        half_heads: often(),
        half_bodies: often(),
        no_answers: often(),
        silences: often() / 4,
        unasked_switches: often(),
        endless_interims: often(),
        two_lengths: often(),
        bytes_behind: often(),
        early_answers: often(),
        wrong_answers: often(),
    }
}

fn draw_troubles(theme: Theme, host: usize, random: &mut Random) -> Vec<Episode> {
    let most = match theme {
        Theme::Outages | Theme::Mixed | Theme::Streams | Theme::Recovery => 4,
        Theme::Changes | Theme::Leaving | Theme::Panics | Theme::StreamEnds => 2,
        _ => 0,
    };
    let mut from = Moment::ZERO;
    let mut episodes = Vec::new();
    for _ in 0..random.below(most + 1) {
        from = from + between(random, 0, 5_000);
        let until = from + between(random, 50, 8_000);
        let what = draw_trouble(random);
        match random.below(8) {
            // There and gone, there and gone.
            0 => {
                let half = between(random, 100, 1_200);
                while from < until {
                    episodes.push(Episode { host, from, until: from + half, what });
                    from = from + half * 2;
                }
            }
            // A host that starts anew is slow at first.
            1 => {
                episodes.push(Episode { host, from, until, what });
                let what = Trouble::Slow(2 + random.below(20) as u32);
                let warm = until + between(random, 100, 3_000);
                episodes.push(Episode { host, from: until, until: warm, what });
                from = warm;
            }
            _ => {
                episodes.push(Episode { host, from, until, what });
                from = until;
            }
        }
    }
    episodes
}

fn draw_trouble(random: &mut Random) -> Trouble {
    match random.below(19) {
        16 => Trouble::Lags(200 + random.below(2_800) as u32),
        17 => Trouble::Errs,
        18 => Trouble::Cuts,
        12 => Trouble::Loses([10, 100, 300, 500][random.below(4)]),
        13 => Trouble::LosesLarge,
        14 => Trouble::LosesWays,
        15 => Trouble::Closes,
        0 | 1 => Trouble::Killed { by_reset: true },
        2 => Trouble::Killed { by_reset: false },
        3 | 4 => Trouble::Swallows,
        5 => Trouble::SwallowsIn,
        6 => Trouble::SwallowsOut,
        7 => Trouble::PowerLoss,
        8 => Trouble::Frozen,
        9 => Trouble::Unreachable,
        10 => Trouble::Slow(2 + random.below(30) as u32),
        _ => Trouble::Sick,
    }
}

fn draw_changes(
    theme: Theme,
    plan: &Plan,
    pools: &[Vec<usize>],
    anchors: &[Vec<usize>],
    random: &mut Random,
) -> Vec<(Moment, Change)> {
    let mut changes = Vec::new();
    if theme.has_stops() {
        let stop = Moment::ZERO + between(random, 100, 8_000);
        changes.push((stop, Change::Stop));
        if one_in(random, 3) {
            changes.push((stop + between(random, 0, 1_500), Change::Abandon));
        }
    }
    if theme.has_panics() {
        for _ in 0..random.below(20) {
            let when = Moment::ZERO + Duration::from_nanos(random.next() % 10_000_000_000);
            changes.push((when, Change::Panic(random.below(64), random.below(1 << 20))));
        }
    }
    if !matches!(theme, Theme::Changes | Theme::Mixed) {
        return changes;
    }
    for _ in 0..random.below(6) {
        let when = Moment::ZERO + between(random, 0, 15_000);
        let pool = random.below(pools.len());
        let nth = random.below(pools[pool].len());
        if anchors[pool].contains(&pools[pool][nth]) || one_in(random, 2) {
            let plan = plan::changed(plan, anchors, random);
            changes.push((when, Change::Reload(plan)));
            continue;
        }
        let change = match random.below(4) {
            0 => Change::Wish(pool, nth, Wish::Draining),
            1 => Change::Wish(pool, nth, Wish::Disabled),
            2 => Change::Wish(pool, nth, Wish::Enabled),
            _ => Change::Weight(pool, nth, random.below(4) as u16),
        };
        changes.push((when, change));
    }
    changes.sort_by_key(|(when, _)| *when);
    changes
}
