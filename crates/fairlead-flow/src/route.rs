//! Which requests go to which pool.
//!
//! Conditions are judged on exactly the bytes that are passed on: the path is not decoded, not
//! normalised, not lower-cased (the divergence of matcher and backend is what Envoy's
//! CVE-2021-29492 and Caddy's CVE-2026-27587 were made of). Host names have no case.
//!
//! Routes that ask only for an exact host are found by a search in a sorted table; the others are
//! tried in order. The first match in the configuration's order wins in any case.

use std::collections::BTreeMap;

use fairlead_model::plan::{HostMatch, PathMatch, RoutePlan};
use regex::bytes::Regex;

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
    /// Indices of the routes that ask for this exact host, ascending.
    by_host: BTreeMap<Box<[u8]>, Vec<u32>>,
    /// Indices of the routes that don't, ascending.
    any_host: Vec<u32>,
    default: Option<usize>,
}

#[derive(Debug)]
struct Route {
    below: Option<Box<[u8]>>,
    path: Option<Path>,
    methods: Vec<String>,
    headers: Vec<(String, Option<String>)>,
    pool: usize,
}

#[derive(Debug)]
enum Path {
    Prefix(Box<[u8]>),
    Exact(Box<[u8]>),
    Regex(Regex),
}

impl Routes {
    /// Prepares routes for matching; an error names the route's index.
    pub(crate) fn compile(
        plans: &[RoutePlan],
        default: Option<usize>,
    ) -> Result<Routes, (usize, String)> {
        let mut by_host: BTreeMap<Box<[u8]>, Vec<u32>> = BTreeMap::new();
        let mut any_host = Vec::new();
        let mut routes = Vec::with_capacity(plans.len());
        for (index, plan) in plans.iter().enumerate() {
            let below = match &plan.host {
                Some(HostMatch::Exact(host)) => {
                    let host = host.to_ascii_lowercase().into_bytes().into_boxed_slice();
                    by_host.entry(host).or_default().push(index as u32);
                    None
                }
                Some(HostMatch::Below(host)) => {
                    any_host.push(index as u32);
                    Some(format!(".{}", host.to_ascii_lowercase()).into_bytes().into_boxed_slice())
                }
                None => {
                    any_host.push(index as u32);
                    None
                }
            };
            routes.push(Route {
                below,
                path: plan.path.as_ref().map(path_of).transpose().map_err(|text| (index, text))?,
                methods: plan.methods.clone(),
                headers: plan.headers.clone(),
                pool: plan.pool,
            });
        }
        Ok(Routes { all: routes, by_host, any_host, default })
    }

    /// The pool of the first route that takes the request, or the listener's own.
    pub(crate) fn find(&self, facts: &impl Facts) -> Option<usize> {
        if self.all.is_empty() {
            return self.default;
        }
        let mut host = [0_u8; 256];
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
        let empty = Vec::new();
        let exact = self.by_host.get(host).unwrap_or(&empty);
        let found = merged(exact, &self.any_host)
            .find(|index| self.all[*index as usize].takes(host, facts));
        found.map(|index| self.all[index as usize].pool).or(self.default)
    }
}

/// Two ascending lists as one ascending list.
fn merged<'a>(left: &'a [u32], right: &'a [u32]) -> impl Iterator<Item = u32> + 'a {
    let (mut left, mut right) = (left.iter().peekable(), right.iter().peekable());
    std::iter::from_fn(move || match (left.peek(), right.peek()) {
        (Some(one), Some(other)) if one <= other => left.next().copied(),
        (Some(_), None) => left.next().copied(),
        _ => right.next().copied(),
    })
}

fn path_of(plan: &PathMatch) -> Result<Path, String> {
    Ok(match plan {
        PathMatch::Prefix(path) => Path::Prefix(path.as_bytes().into()),
        PathMatch::Exact(path) => Path::Exact(path.as_bytes().into()),
        PathMatch::Regex(pattern) => {
            Path::Regex(Regex::new(pattern).map_err(|error| error.to_string())?)
        }
    })
}

impl Route {
    fn takes(&self, host: &[u8], facts: &impl Facts) -> bool {
        let under = |suffix: &[u8]| host.len() > suffix.len() && host.ends_with(suffix);
        self.below.as_deref().is_none_or(under)
            && self.path.as_ref().is_none_or(|path| path.takes(facts.path()))
            && (self.methods.is_empty()
                || self.methods.iter().any(|method| method.as_bytes() == facts.method()))
            && self.headers.iter().all(|(name, value)| facts.has_header(name, value.as_deref()))
    }
}

impl Path {
    fn takes(&self, path: &[u8]) -> bool {
        match self {
            Path::Prefix(prefix) => path.starts_with(prefix),
            Path::Exact(exact) => path == &**exact,
            Path::Regex(regex) => regex.is_match(path),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
