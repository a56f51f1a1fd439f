use fairlead_balance::Registry;
use fairlead_model::backend::{Endpoint, Slot};
use fairlead_model::plan::{
    CheckKind, CheckPlan, HashOn, HashTable, Millis, OutlierPlan, Plan, Policy, PoolPlan,
    PoolTimeouts, RetryPlan,
};
use fairlead_proto::http1::{ChunkLimits, Framing};

use super::*;
use crate::local::Local;
use crate::snapshot::Snapshot;

fn pool() -> Rc<LocalPool> {
    let some = Millis(1_000);
    let pool = PoolPlan {
        name: "app".into(),
        policy: Policy::First,
        python: None,
        hash_on: HashOn::SourceIp,
        hash_table: HashTable::Maglev,
        groups: Vec::new(),
        backends: Vec::new(),
        check: CheckPlan {
            kind: CheckKind::None,
            interval: some,
            fast_interval: some,
            timeout: some,
            rise: 2,
            fall: 3,
        },
        timeouts: PoolTimeouts { connect: some, response: some, idle: some, keepalive: some },
        retry: RetryPlan {
            attempts: 3,
            same_backend: 1,
            delay: some,
            hedge: false,
            budget: 200,
            hold: Millis(0),
        },
        outlier: OutlierPlan { max_ejected: 5_000, latency: true },
        slow_start: Millis(0),
        source: None,
        keepalive: None,
        proxy_protocol: None,
    };
    let plan = Plan { pools: vec![pool], ..Plan::default() };
    let snapshot = Snapshot::build(plan, Vec::new(), &mut Registry::new(), 1, None);
    let snapshot = snapshot.expect("a plan that can be used");
    let (local, _) = Local::of(&snapshot, &Local::empty(), Moment::ZERO);
    Rc::clone(&local.pools[0])
}

fn facts(method: Method) -> Facts {
    let version = Version::Http11;
    Facts { method, version, keep_alive: true, upgrade: false, chunked: false, last: false }
}

/// Every field is another than in a new one. The fields are named, all of them, so that one that is
/// added has to be set here, too.
fn used(pool: Rc<LocalPool>) -> Exchange {
    let (key, at) = (Key { index: 1, generation: 1 }, Moment(9));
    let (slot, reason) = (Slot(1), Reason::Internal);
    let place = Rc::new(Endpoint::Unix("app.sock".into()));
    Exchange {
        seek: Seek::used(pool),
        facts: facts(Method::Put),
        phase: Phase::Relaying,
        head: b"head".to_vec(),
        body: b"body".to_vec(),
        kept: Kept::Dropped,
        request: BodyReader::new(Framing::Length(1), ChunkLimits::UNLIMITED),
        request_done: true,
        link: Some(key),
        second: Some(key),
        second_at: at,
        vain: true,
        again: true,
        denied: true,
        excused: true,
        late: at,
        noted: Noted::Stalled,
        cut: Cut::Settled,
        look: at,
        held: Some(at),
        trial: true,
        doubted: true,
        held_back: true,
        slow_client: true,
        paused_at: at,
        begun: true,
        sent_anything: true,
        sent_at: at,
        response: BodyReader::new(Framing::Length(1), ChunkLimits::UNLIMITED),
        moved_at: at,
        promising: true,
        link_keeps: true,
        delivery: Delivery::Chunk,
        status: 200,
        started: at,
        received: 1,
        sent: 1,
        head_sent: 1,
        blamed: vec![Blame { slot, place, reason, what: "reset", detail: String::new() }],
        reason,
    }
}

#[test]
fn a_renewed_exchange_is_as_good_as_new() {
    let (pool, now) = (pool(), Moment(7));
    let new = Exchange::new(Rc::clone(&pool), facts(Method::Get), now);
    let mut renewed = used(Rc::clone(&pool));
    // What is the same in both shows nothing.
    let (one, other) = (format!("{renewed:#?}"), format!("{new:#?}"));
    let field =
        |line: &&str| line.starts_with("    ") && line[4..].starts_with(char::is_alphabetic);
    for line in one.lines().filter(field).filter(|line| line.ends_with(',')) {
        assert!(!other.lines().any(|there| there == line), "{line}");
    }
    renewed.renew(pool, facts(Method::Get), now);
    assert_eq!(format!("{renewed:?}"), format!("{new:?}"));
}
