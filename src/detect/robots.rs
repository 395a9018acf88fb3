//! The Robots Exclusion Protocol (RFC 9309): what a site asks crawlers to leave alone.
//!
//! Only the rules are here; whoever drives the engine fetches the file. A site's robots.txt asks crawlers, not people:
//! a person may well open what is disallowed, so that alone convicts nobody.

/// Bytes of the file that are read; RFC 9309, 2.5 asks for 500 KiB at least.
const BYTES_MAX: usize = 512 << 10;
/// Rules and names that are kept.
const RULES_MAX: usize = 4096;

/// The rules of one robots.txt.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Robots {
    groups: Vec<Group>,
}

/// Rules for some crawlers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Group {
    /// Product tokens in lower case; `*` is everybody that no other group names.
    agents: Vec<String>,
    rules: Vec<Rule>,
}

/// One `allow` or `disallow` line.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Rule {
    allows: bool,
    /// As it matches: percent-encoded only where that is needed, in capitals.
    pattern: Vec<u8>,
}

impl Robots {
    /// Reads a robots.txt. What is not understood is passed over, as the RFC asks.
    pub fn parse(text: &[u8]) -> Self {
        let text = &text[..text.len().min(BYTES_MAX)];
        let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
        let (mut groups, mut kept) = (Vec::<Group>::new(), 0);
        let mut is_naming = false;
        for line in text.split(|byte| matches!(byte, b'\n' | b'\r')) {
            let Some((key, value)) = field(line) else { continue };
            if kept == RULES_MAX {
                break;
            }
            kept += 1;
            if key.eq_ignore_ascii_case(b"user-agent") {
                if !is_naming {
                    groups.push(Group::default());
                }
                is_naming = true;
                let agent = String::from_utf8_lossy(value).to_ascii_lowercase();
                if let Some(group) = groups.last_mut() {
                    group.agents.push(agent);
                }
                continue;
            }
            let allows = key.eq_ignore_ascii_case(b"allow");
            if !allows && !key.eq_ignore_ascii_case(b"disallow") {
                continue;
            }
            is_naming = false;
            // An empty rule matches nothing; a rule before any user-agent belongs to nobody.
            if let Some(group) = groups.last_mut().filter(|_| !value.is_empty()) {
                group.rules.push(Rule { allows, pattern: plain(value) });
            }
        }
        Robots { groups }
    }

    /// Whether nothing is forbidden to anybody.
    pub fn is_empty(&self) -> bool {
        self.groups.iter().all(|group| group.rules.iter().all(|rule| rule.allows))
    }

    /// Whether a crawler of this name is asked not to fetch `target`, a path with its query. The groups that name it
    /// count; where none does, those for everybody.
    pub fn forbids(&self, user_agent: &str, target: &str) -> bool {
        if self.is_empty() || target == "/robots.txt" {
            return false;
        }
        let named: Vec<_> = self.groups.iter().filter(|group| group.names(user_agent)).collect();
        let everybody = || self.groups.iter().filter(|group| group.agents.iter().any(|agent| agent == "*"));
        let groups = if named.is_empty() { everybody().collect() } else { named };
        let target = plain(target.as_bytes());
        let rules = groups.iter().flat_map(|group| &group.rules);
        let matching = rules.filter(|rule| matches(&rule.pattern, &target));
        // The longest match decides, and of two as long the one that allows.
        matching.max_by_key(|rule| (rule.pattern.len(), rule.allows)).is_some_and(|rule| !rule.allows)
    }
}

impl Group {
    fn names(&self, user_agent: &str) -> bool {
        let is_in = |agent: &String| {
            agent != "*"
                && !agent.is_empty()
                && user_agent
                    .as_bytes()
                    .windows(agent.len())
                    .any(|w| w.eq_ignore_ascii_case(agent.as_bytes()))
        };
        self.agents.iter().any(is_in)
    }
}

/// `key: value # comment`
fn field(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let line = line.split(|byte| *byte == b'#').next()?;
    let colon = line.iter().position(|byte| *byte == b':')?;
    Some((line[..colon].trim_ascii(), line[colon + 1..].trim_ascii()))
}

/// One spelling of a target: percent-encoding taken off letters, digits and `-._~`, put on bytes beyond ASCII, and in
/// capitals everywhere else.
fn plain(text: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(text.len());
    let mut rest = text;
    while let [first, after @ ..] = rest {
        rest = after;
        match (*first, after) {
            (b'%', [high, low, after @ ..]) if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                rest = after;
                let byte = value_of(*high) << 4 | value_of(*low);
                if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
                    plain.push(byte);
                } else {
                    encode(byte, &mut plain);
                }
            }
            (byte, _) if byte.is_ascii() => plain.push(byte),
            (byte, _) => encode(byte, &mut plain),
        }
    }
    plain
}

fn encode(byte: u8, into: &mut Vec<u8>) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    into.extend([b'%', DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
}

const fn value_of(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        b'a'..=b'f' => digit - b'a' + 10,
        _ => digit.wrapping_sub(b'A').wrapping_add(10),
    }
}

/// Whether the target begins as the pattern says; `*` is anything, `$` at the end is the target's end. The last `*` is
/// the only one to go back to, so the work is bounded by the product of the lengths.
fn matches(pattern: &[u8], target: &[u8]) -> bool {
    let (pattern, is_whole) = match pattern {
        [body @ .., b'$'] => (body, true),
        _ => (pattern, false),
    };
    let (mut p, mut t, mut star) = (0, 0, None);
    loop {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, t));
                p += 1;
                continue;
            }
            None if !is_whole || t == target.len() => return true,
            Some(byte) if target.get(t) == Some(byte) => {
                (p, t) = (p + 1, t + 1);
                continue;
            }
            _ => {}
        }
        let Some((at, from)) = star.filter(|(_, from)| *from < target.len()) else { return false };
        (p, t, star) = (at + 1, from + 1, Some((at, from + 1)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Promise: the examples of RFC 9309: the simple one of 5.1, and the longest match of 5.2.
    #[test]
    fn examples_of_the_rfc() {
        let simple = Robots::parse(
            b"User-Agent: *\nDisallow: *.gif$\nDisallow: /example/\nAllow: /publications/\n\n\
              User-Agent: foobot\nDisallow:/\nAllow:/example/page.html\nAllow:/example/allowed.gif\n\n\
              User-Agent: barbot\nUser-Agent: bazbot\nDisallow: /example/page.html\n\nUser-Agent: quxbot\n\nEOF\n",
        );
        assert!(simple.forbids("anybot", "/a.gif") && simple.forbids("anybot", "/example/x"));
        assert!(!simple.forbids("anybot", "/a.gif?x") && !simple.forbids("anybot", "/publications/"));
        assert!(simple.forbids("FooBot/2.0", "/publications/"));
        assert!(!simple.forbids("FooBot/2.0", "/example/allowed.gif"));
        assert!(simple.forbids("bazbot", "/example/page.html") && !simple.forbids("bazbot", "/a.gif"));
        assert!(!simple.forbids("quxbot", "/example/page.html"));
        let longest = Robots::parse(
            b"User-Agent: foobot\nAllow: /example/page/\nDisallow: /example/page/disallowed.gif\n",
        );
        assert!(longest.forbids("foobot", "/example/page/disallowed.gif"));
        assert!(!longest.forbids("foobot", "/example/page/"));
    }

    /// Promise: special characters as in RFC 9309, 2.2.2 and 2.2.3: encodings of one character are one, `*` and `$`.
    #[test]
    fn spellings_and_special_characters() {
        let forbids = |pattern: &str, target: &str| {
            Robots::parse(format!("user-agent: *\ndisallow: {pattern}").as_bytes()).forbids("x", target)
        };
        assert!(forbids("/foo/bar/ツ", "/foo/bar/%E3%83%84"));
        assert!(forbids("/foo/bar/%62%61%7A", "/foo/bar/baz"));
        assert!(forbids("/a%3cd.html", "/a%3Cd.html"));
        assert!(forbids("/this/*/exactly", "/this/path/exactly/and/more"));
        assert!(forbids("/a*b*c$", "/a-b-b-c") && !forbids("/a*b*c$", "/a-b-c-d"));
        assert!(!forbids("", "/") && forbids("/", "/") && !forbids("/", "/robots.txt"));
    }

    /// Promise: of two matches as long, the one that allows; rubbish is passed over and never fatal.
    #[test]
    fn ties_allow_and_rubbish_is_passed_over() {
        let tie = Robots::parse(b"\xef\xbb\xbfUser-agent: *\r\nDisallow: /page\r\nAllow: /page\r\n");
        assert!(!tie.forbids("x", "/page"));
        let odd = Robots::parse(
            b"disallow: /a\n\xff\xfe\nuser-agent\nuser-agent: * # all\nnonsense: 1\ndisallow: /b",
        );
        assert!(!odd.forbids("x", "/a") && odd.forbids("x", "/b"));
        assert!(Robots::parse(b"").is_empty());
    }
}
