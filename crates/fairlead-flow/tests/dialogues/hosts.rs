//! One host under many ports: its silence is noticed once, for all of them.

use fairlead_model::backend::Endpoint;
use fairlead_model::chaos::Fault;
use fairlead_model::health::Health;
use fairlead_model::plan::{CheckKind, Millis, PoolPlan};

use crate::keep::{GET, OK};
use crate::script::{dialogue, Dialogue};
use crate::setup::{backend, http, ms, pool, Setup};

const DEAD: usize = 9;
const LIVING: usize = 1;

/// A pool with one backend on each of the two hosts, under ports of its own.
fn pool_on(nth: usize, check: &CheckKind) -> PoolPlan {
    let mut plan = pool(&format!("pool-{nth}"), 0..0);
    plan.backends = [DEAD, LIVING]
        .map(|host| {
            let mut plan = backend(host);
            let Some(Endpoint::Tcp(to)) = plan.endpoints.first_mut() else { return plan };
            to.set_port(1_000 + nth as u16);
            plan.address = to.to_string();
            plan
        })
        .into();
    plan.check.kind = check.clone();
    plan.check.interval = Millis(60_000);
    plan
}

fn pools(count: usize, check: &CheckKind) -> Setup {
    http().plan(|plan| plan.pools = (0..count).map(|nth| pool_on(nth, check)).collect())
}

/// The pools go on; those hosts answer their connects. How many connects were made to the other?
fn goes_on(told: &mut Dialogue, millis: u64, answering: &[usize]) -> usize {
    let mut known = told.connecting(DEAD).len();
    let mut made = 0;
    for _ in 0..millis {
        told.after(ms(1)).whatever();
        for host in answering {
            for who in told.connecting(*host) {
                told.connected(who).whatever();
            }
        }
        let now = told.connecting(DEAD).len();
        made += now.saturating_sub(known);
        known = now;
    }
    made
}

fn count(told: &Dialogue, pools: usize, health: Health) -> usize {
    (0..pools).filter(|nth| told.health_in(*nth, 0) == health).count()
}

/// All is well, and then a request finds that the host is silent.
fn silent(pools_of: usize, check: &CheckKind) -> Dialogue {
    let mut told = dialogue(pools(pools_of, check));
    goes_on(&mut told, 100, &[DEAD, LIVING]);
    told.client_connects().wants_nothing().client_sends(GET).whatever();
    goes_on(&mut told, 200, &[LIVING]);
    told
}

#[test]
fn a_thousand_pools_on_a_dead_host_are_out_within_a_second_for_a_few_probes() {
    let mut told = silent(1_000, &CheckKind::Tcp);
    assert_eq!(count(&told, 1_000, Health::Suspect), 1_000, "suspect at once");
    let made = goes_on(&mut told, 1_000, &[LIVING]);
    assert_eq!(count(&told, 1_000, Health::Down), 1_000, "down within a second");
    assert!(made <= 30, "{made} connects to a host that is dead");
    let why = told.why(0);
    assert!(why.starts_with("host: 10.0.0.9 says nothing on any port asked"), "{why}");
    // It goes on being asked, by a few of its probes.
    let made = goes_on(&mut told, 10_000, &[LIVING]);
    assert!((10..=200).contains(&made), "{made}");
}

#[test]
fn one_sign_of_life_has_all_of_them_probed_at_once() {
    let mut told = silent(1_000, &CheckKind::Tcp);
    goes_on(&mut told, 30_000, &[LIVING]);
    assert_eq!(count(&told, 1_000, Health::Down), 1_000);
    goes_on(&mut told, 1_300, &[DEAD, LIVING]);
    assert_eq!(count(&told, 1_000, Health::Healthy), 1_000);
}

#[test]
fn a_port_that_is_closed_says_nothing_about_its_host() {
    let mut told = dialogue(pools(5, &CheckKind::Tcp));
    goes_on(&mut told, 100, &[DEAD, LIVING]);
    told.client_connects().wants_nothing().client_sends(GET).whatever();
    let who = told.connecting(DEAD);
    told.refused(who[0]).whatever();
    goes_on(&mut told, 100, &[LIVING]);
    assert_eq!(told.health_in(0, 0), Health::Suspect);
    assert_eq!(count(&told, 5, Health::Healthy), 4);
}

#[test]
fn a_silent_port_of_a_host_that_answers_elsewhere_is_a_silent_port() {
    let mut told = dialogue(pools(5, &CheckKind::Tcp));
    goes_on(&mut told, 100, &[DEAD, LIVING]);
    told.client_connects().wants_nothing().client_sends(GET).whatever();
    goes_on(&mut told, 60, &[LIVING]);
    assert_eq!(count(&told, 5, Health::Suspect), 5);
    // The others' probes are answered; only the first one's port stays silent.
    for who in told.connecting(DEAD) {
        if told.port(who) != 1_000 {
            told.connected(who).whatever();
        }
    }
    goes_on(&mut told, 20, &[LIVING]);
    assert_eq!(count(&told, 5, Health::Healthy), 4, "as they were");
    assert_ne!(told.health_in(0, 0), Health::Healthy);
}

#[test]
fn a_fault_that_is_played_is_no_silence_of_the_host() {
    let mut told = dialogue(pools(5, &CheckKind::Tcp));
    goes_on(&mut told, 100, &[DEAD, LIVING]);
    told.client_connects().wants_nothing().client_sends(GET).whatever();
    let who = told.connecting(DEAD)[0];
    told.connected(who).whatever().sends(who, OK).whatever();
    told.plays_so(Fault::Drop, |plan| plan.pool = "pool-0".into()).whatever();
    // The request vanishes, and the kernel would know of no acknowledgement.
    told.client_sends(GET).whatever();
    goes_on(&mut told, 300, &[LIVING]);
    assert!(told.why(0).contains("no acknowledgement"), "{}", told.why(0));
    assert_eq!(count(&told, 5, Health::Healthy), 4, "the others on it are as they were");
}

#[test]
fn without_a_check_they_are_suspect_and_no_more() {
    let mut told = silent(5, &CheckKind::None);
    goes_on(&mut told, 3_000, &[LIVING]);
    assert_eq!(count(&told, 5, Health::Suspect), 5);
}

#[test]
fn the_record_of_a_host_survives_a_reload() {
    let mut told = silent(20, &CheckKind::Tcp);
    let mut other = pools(20, &CheckKind::Tcp);
    other.plan.pools[3].retry.attempts = 2;
    told.reloads(other).whatever();
    let made = goes_on(&mut told, 1_000, &[LIVING]);
    assert_eq!(count(&told, 20, Health::Down), 20);
    assert!(made <= 30, "{made}");
}
