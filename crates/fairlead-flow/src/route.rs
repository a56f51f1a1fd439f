//! Which requests go to which pool.
//!
//! Conditions are judged on exactly the bytes that are passed on: the path is not decoded, not
//! normalised, not lower-cased (the divergence of matcher and backend is what Envoy's
//! CVE-2021-29492 and Caddy's CVE-2026-27587 were made of). Host names have no case.
//!
//! The first match in the configuration's order wins, however many routes there are. Those that can
//! match are found by their host and path in sorted tables (`table`), so a request costs what its
//! own path and host cost, with ten thousand routes as with ten. What is left of a route (methods,
//! headers, a regular expression) is asked of those alone. Routes with a regular expression are all
//! tried that have the request's host.

mod table;

use fairlead_model::plan::{PathMatch, RoutePlan};
use regex::bytes::Regex;

use table::{Hosts, Place};

/// What a route looks at.
pub(crate) trait Facts {
    /// The host, without port, in any case.
    fn host(&self) -> &[u8];
    /// The path, without query.
    fn path(&self) -> &[u8];
    /// The method.
    fn method(&self) -> &[u8];
    /// Whether a header of this (lower-case) name has this value, or any.
    fn has_header(&self, name: &str, value: Option<&str>) -> bool;
}

/// The routes of one listener.
#[derive(Debug)]
pub(crate) struct Routes {
    all: Vec<Route>,
    hosts: Hosts,
    default: Option<usize>,
}

/// What a route asks for besides its place in the tables.
#[derive(Debug)]
struct Route {
    pattern: Option<Regex>,
    methods: Vec<String>,
    headers: Vec<(String, Option<String>)>,
    pool: usize,
}

impl Routes {
    /// Prepares routes for matching; an error names the route's index.
    pub(crate) fn compile(
        plans: &[RoutePlan],
        default: Option<usize>,
    ) -> Result<Routes, (usize, String)> {
        let mut hosts = Hosts::default();
        let mut all = Vec::with_capacity(plans.len());
        for (index, plan) in plans.iter().enumerate() {
            let (place, pattern) = match &plan.path {
                None => (Place::Any, None),
                Some(PathMatch::Exact(path)) => (Place::Exact(path.as_bytes()), None),
                Some(PathMatch::Prefix(path)) => (Place::Prefix(path.as_bytes()), None),
                Some(PathMatch::Regex(pattern)) => {
                    let pattern =
                        Regex::new(pattern).map_err(|error| (index, error.to_string()))?;
                    (Place::Any, Some(pattern))
                }
            };
            hosts.paths_of(plan.host.as_ref()).add(place, index as u32);
            all.push(Route {
                pattern,
                methods: plan.methods.clone(),
                headers: plan.headers.clone(),
                pool: plan.pool,
            });
        }
        hosts.settle();
        Ok(Routes { all, hosts, default })
    }

    /// The pool of the first route that takes the request, or the listener's own.
    pub(crate) fn find(&self, facts: &impl Facts) -> Option<usize> {
        if self.all.is_empty() {
            return self.default;
        }
        let mut host = [0_u8; 255];
        let named = facts.host();
        // `example.com.` is the same name, written out to the root (RFC 1034 §3.1).
        let named = named.strip_suffix(b".").unwrap_or(named);
        // A host of more than 255 bytes is none (RFC 1035), so no exact route can mean it.
        let host = match host.get_mut(..named.len()) {
            Some(place) => {
                place.copy_from_slice(named);
                place.make_ascii_lowercase();
                &*place
            }
            None => &[],
        };
        let mut first = u32::MAX;
        self.hosts.each(host, facts.path(), |indices| {
            let mut earlier = indices.iter().copied().take_while(|index| *index < first);
            let found = earlier.find(|index| self.all[*index as usize].takes(facts));
            first = found.unwrap_or(first);
        });
        self.all.get(first as usize).map(|route| route.pool).or(self.default)
    }
}

impl Route {
    fn takes(&self, facts: &impl Facts) -> bool {
        self.pattern.as_ref().is_none_or(|pattern| pattern.is_match(facts.path()))
            && (self.methods.is_empty()
                || self.methods.iter().any(|method| method.as_bytes() == facts.method()))
            && self.headers.iter().all(|(name, value)| facts.has_header(name, value.as_deref()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fairlead_model::plan::HostMatch;

    struct Request(&'static str, &'static str, &'static str);

    impl Facts for Request {
        fn host(&self) -> &[u8] {
            self.1.as_bytes()
        }
        fn path(&self) -> &[u8] {
            self.2.as_bytes()
        }
        fn method(&self) -> &[u8] {
            self.0.as_bytes()
        }
        fn has_header(&self, name: &str, value: Option<&str>) -> bool {
            name == "x-beta" && value.is_none_or(|value| value == "1")
        }
    }

    fn plan(host: Option<HostMatch>, path: Option<PathMatch>, pool: usize) -> RoutePlan {
        RoutePlan { host, path, methods: vec![], headers: vec![], pool }
    }

    fn exact(host: &str) -> HostMatch {
        HostMatch::Exact(host.into())
    }

    #[test]
    fn first_match_wins_whatever_its_kind() {
        let below = Some(HostMatch::Below("example.com".into()));
        let v1 = Some(PathMatch::Prefix("/v1/".into()));
        let plans = [
            plan(Some(exact("api.example.com")), v1.clone(), 1),
            plan(below, None, 2),
            plan(Some(exact("api.example.com")), None, 3),
            plan(None, v1, 4),
        ];
        let routes = Routes::compile(&plans, Some(0)).expect("compiles");
        let find = |host, path| routes.find(&Request("GET", host, path));
        assert_eq!(find("API.example.com", "/v1/x"), Some(1));
        assert_eq!(find("api.example.com.", "/v1/x"), Some(1));
        assert_eq!(find("api.example.com", "/"), Some(2));
        assert_eq!(find("a.b.example.com", "/"), Some(2));
        assert_eq!(find("example.com", "/"), Some(0));
        assert_eq!(find("example.com", "/v1/"), Some(4));
        assert_eq!(find("example.com", "/V1/"), Some(0));
        assert_eq!(find("example.com", "/v1"), Some(0));
    }

    #[test]
    fn a_long_host_is_the_same_in_any_case() {
        // From short to the longest that a name may be, and one byte beyond what is looked at.
        for length in [100, 101, 127, 128, 200, 253, 255, 256] {
            let end = ".example.com";
            let label = "abcdefgh-z.".repeat(30);
            let host = label[..length - end.len() - 1].to_owned() + "z" + end;
            let mixed: String = host
                .char_indices()
                .map(|(at, each)| if at % 3 == 0 { each.to_ascii_uppercase() } else { each })
                .collect();
            let (mixed, asked) = (&*mixed.leak(), &*host.to_ascii_uppercase().leak());
            let below = HostMatch::Below(end[1..].into());
            for (matched, pool) in [(HostMatch::Exact(host), 1), (below, 2)] {
                let routes = Routes::compile(&[plan(Some(matched), None, pool)], Some(0));
                let routes = routes.expect("compiles");
                let wanted = Some(if length > 255 { 0 } else { pool });
                assert_eq!(routes.find(&Request("GET", mixed, "/")), wanted, "{length}");
                assert_eq!(routes.find(&Request("GET", asked, "/")), wanted, "{length}");
            }
        }
    }

    /// Ten thousand routes of all kinds that overlap in all ways.
    fn many(draw: &mut impl FnMut(usize) -> usize) -> Vec<RoutePlan> {
        let mut text = |pieces: &[&str], most: usize| -> String {
            (0..=draw(most)).map(|_| pieces[draw(pieces.len())]).collect()
        };
        let mut each = |pool: usize| {
            let host = text(&["a.", "b.", "c.", "d."], 3) + "x";
            let path = format!("/{}", text(&["a", "b", "c", "d", "/", "ab", "é"], 8));
            let host = match pool % 10 {
                0 => None,
                1..=5 => Some(HostMatch::Exact(host)),
                _ => Some(HostMatch::Below(host)),
            };
            let path = match pool % 601 {
                0 => None,
                1..=2 => Some(PathMatch::Regex(format!("{path}$"))),
                odd if odd % 2 == 1 => Some(PathMatch::Exact(path)),
                _ => Some(PathMatch::Prefix(path)),
            };
            let methods = if pool % 7 == 0 { vec![] } else { vec!["PUT".into()] };
            RoutePlan { host, path, methods, headers: vec![], pool }
        };
        // From the particular to the general, as people write them, so that many are reached.
        let mut plans: Vec<_> = (0..10_000).map(&mut each).collect();
        plans.sort_by_key(|plan| std::cmp::Reverse(length(plan)));
        plans
    }

    fn length(plan: &RoutePlan) -> usize {
        let path = match &plan.path {
            Some(PathMatch::Prefix(path) | PathMatch::Exact(path)) => path.len(),
            _ => 0,
        };
        path * 2 + usize::from(plan.host.is_some())
    }

    /// Whether a route takes a request, as the reference says it.
    fn takes(plan: &RoutePlan, Request(method, host, path): &Request) -> bool {
        let of_host = plan.host.as_ref().is_none_or(|wanted| match wanted {
            HostMatch::Exact(wanted) => wanted == host,
            HostMatch::Below(wanted) => host.ends_with(&format!(".{wanted}")),
        });
        let of_path = plan.path.as_ref().is_none_or(|wanted| match wanted {
            PathMatch::Exact(wanted) => wanted == path,
            PathMatch::Prefix(wanted) => path.starts_with(wanted.as_str()),
            PathMatch::Regex(wanted) => path.ends_with(wanted.trim_end_matches('$')),
        });
        of_host && of_path && (plan.methods.is_empty() || plan.methods[0] == *method)
    }

    #[test]
    fn ten_thousand_routes_answer_as_reading_them_in_order_does() {
        let mut number = 7_u64;
        let mut draw = move |below: usize| {
            number = number.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (number >> 33) as usize % below
        };
        let plans = many(&mut draw);
        let routes = Routes::compile(&plans, None).expect("compiles");
        let mut found = std::collections::BTreeSet::new();
        for _ in 0..3_000 {
            let (one, other) = (&plans[draw(plans.len())], &plans[draw(plans.len())]);
            let host = match &one.host {
                Some(HostMatch::Exact(host)) => host.clone(),
                Some(HostMatch::Below(host)) => format!("{}{host}", ["", "a.", "d."][draw(3)]),
                None => "elsewhere".into(),
            };
            let path = match &[one, other][draw(2)].path {
                Some(PathMatch::Exact(path) | PathMatch::Prefix(path)) => path.clone(),
                _ => "/a".into(),
            };
            let path = path + ["", "", "a", "/ab"][draw(4)];
            let request = Request(["GET", "PUT"][draw(2)], host.leak(), path.leak());
            let wanted = plans.iter().find(|plan| takes(plan, &request)).map(|plan| plan.pool);
            assert_eq!(routes.find(&request), wanted, "{} {}", request.1, request.2);
            found.insert(wanted);
        }
        assert!(found.len() > 1_000, "{} different routes", found.len());
    }

    #[test]
    fn methods_headers_and_patterns_all_have_to_hold() {
        let route = RoutePlan {
            host: None,
            path: Some(PathMatch::Regex("^/u/[0-9]+$".into())),
            methods: vec!["PUT".into(), "POST".into()],
            headers: vec![("x-beta".into(), Some("1".into()))],
            pool: 7,
        };
        let routes = Routes::compile(std::slice::from_ref(&route), None).expect("compiles");
        assert_eq!(routes.find(&Request("PUT", "h", "/u/12")), Some(7));
        assert_eq!(routes.find(&Request("GET", "h", "/u/12")), None);
        assert_eq!(routes.find(&Request("PUT", "h", "/u/12/")), None);
        let other = RoutePlan { headers: vec![("x-gamma".into(), None)], ..route };
        let routes = Routes::compile(&[other], None).expect("compiles");
        assert_eq!(routes.find(&Request("PUT", "h", "/u/12")), None);
    }

    #[test]
    fn a_pattern_that_does_not_compile_is_named() {
        let plans = [plan(None, None, 0), plan(None, Some(PathMatch::Regex("(".into())), 0)];
        assert_eq!(Routes::compile(&plans, None).expect_err("refused").0, 1);
    }
}
