use fairlead_sim::{run, Setting, Theme};
#[test]
fn one() {
    let theme: String = std::env::var("THEME").unwrap_or("Fair".into());
    let seed: u64 = std::env::var("SEED").unwrap_or("0".into()).parse().unwrap();
    let id: u64 = std::env::var("ID").unwrap_or("0".into()).parse().unwrap();
    let theme = Theme::ALL.into_iter().find(|t| format!("{t:?}") == theme).unwrap();
    let setting = Setting::of(theme, seed);
    for p in &setting.plan.pools { println!("{:?} {:?} {:?} {:?} {:?}", p.policy, p.retry, p.timeouts, p.check, p.backends.iter().map(|b| (b.address.clone(), b.endpoints.len(), b.weight, b.group, b.max_connections)).collect::<Vec<_>>()); } println!("anchors {:?} weather {:?}", setting.anchors, setting.weather());
    println!("workers {}", setting.workers);
    for t in &setting.troubles { println!("{t:?}"); }
    let report = run(setting);
    for (w, n, e) in &report.events { println!("{} {n} {e:?}", w.0 as f64 / 1e9); }
    for r in &report.requests { if id == 0 || r.id == id { println!("{r:?} {:?} {:#?}", report.sends.get(&r.id), report.deliveries.get(&r.id)); } }
}
