//! One JSON object a line.

use std::borrow::Cow;
use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::combined::Combined;
use super::fields::{Field, Fields, Name, Names};
use super::text;
use crate::replay::Entry;

/// What a line holds of each field; owns what JSON escapes.
#[derive(Debug, Default)]
pub struct JsonLine<'a> {
    slots: [Option<(u8, Scalar<'a>)>; Field::COUNT],
}

#[derive(Clone, Debug)]
enum Scalar<'a> {
    Text(Cow<'a, str>),
    Number(f64),
}

/// Reads a line; `None` where it is not one JSON object.
pub fn read<'a>(line: &'a [u8], fields: &Fields) -> Option<JsonLine<'a>> {
    let mut read = JsonLine::default();
    let mut json = serde_json::Deserializer::from_slice(line);
    Object { names: &fields.names, line: &mut read }.deserialize(&mut json).ok()?;
    json.end().ok()?;
    Some(read)
}

impl JsonLine<'_> {
    /// The request; `None` without a time, a client, a target or a status.
    pub(super) fn entry(&self, times: &mut Combined) -> Option<Entry<'_>> {
        let client: IpAddr = client(self.text(Field::Client)?)?;
        let unix_ms = self.time(times)?;
        let (mut method, mut target, mut protocol) =
            (self.text(Field::Method), self.text(Field::Target), self.text(Field::Protocol));
        if target.is_none()
            && let Some(line) = self.text(Field::Request)
        {
            let (of_line, asked, version) = text::request_line(line.as_bytes());
            (method, target, protocol) = (Some(of_line), Some(asked), Some(version));
        }
        let took = self.number(Field::TookMicros).map(|us| us / 1e6).or(self.number(Field::TookSeconds));
        Some(Entry {
            host: self.text(Field::Host),
            method: method.unwrap_or("GET"),
            target: target?,
            is_http_1_0: protocol == Some("HTTP/1.0"),
            status: whole(self.number(Field::Status)?)?,
            bytes: self.number(Field::Bytes).and_then(whole).unwrap_or(0),
            referer: self.text(Field::Referer),
            user_agent: self.text(Field::UserAgent),
            account: self.text(Field::Account),
            fingerprint: self.text(Field::Fingerprint),
            request_id: self.text(Field::RequestId),
            by_proxy: self.text(Field::AnsweredBy) == Some("weir"),
            took: took.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()),
            ..Entry::of(client, unix_ms)
        })
    }

    /// Neither empty nor `-`.
    fn text(&self, field: Field) -> Option<&str> {
        match &self.slots[field as usize] {
            Some((_, Scalar::Text(text))) => {
                Some(text.as_ref()).filter(|text| !text.is_empty() && *text != "-")
            }
            _ => None,
        }
    }

    fn number(&self, field: Field) -> Option<f64> {
        match &self.slots[field as usize] {
            Some((_, Scalar::Number(number))) => Some(*number),
            Some((_, Scalar::Text(text))) => text.parse().ok(),
            None => None,
        }
    }

    fn time(&self, times: &mut Combined) -> Option<u64> {
        if let Some(number) = self.number(Field::Time) {
            // Seconds, or milliseconds where seconds would be in the year 5138 or later.
            return whole(if number > 1e11 { number } else { number * 1000.0 });
        }
        let text = self.text(Field::Time)?.as_bytes();
        text::rfc3339(text).or_else(|| times.time(text))
    }
}

/// With or without a port.
fn client(text: &str) -> Option<IpAddr> {
    text.parse().ok().or_else(|| text.parse().ok().map(|peer: std::net::SocketAddr| peer.ip()))
}

/// Cut off; `None` where it does not fit.
fn whole<T: TryFrom<u64>>(number: f64) -> Option<T> {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "bounds are looked at")]
    let whole = (0.0..1.8e19).contains(&number).then_some(number as u64)?;
    whole.try_into().ok()
}

/// An object whose names are known.
struct Object<'n, 'l, 'a> {
    names: &'n Names,
    line: &'l mut JsonLine<'a>,
}

/// What stands behind a name.
struct Value<'n, 'l, 'a> {
    name: &'n Name,
    line: &'l mut JsonLine<'a>,
}

impl<'de> DeserializeSeed<'de> for Object<'_, '_, 'de> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Object<'_, '_, 'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<Key<'de>>()? {
            match self.names.0.get(key.0.as_ref()) {
                Some(name) => map.next_value_seed(Value { name, line: self.line })?,
                None => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(())
    }
}

/// Borrowed wherever nothing is escaped.
#[derive(serde::Deserialize)]
struct Key<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'a> Value<'_, '_, 'a> {
    fn put(self, value: Scalar<'a>) {
        let Some((field, rank)) = self.name.holds else { return };
        let slot = &mut self.line.slots[field as usize];
        if slot.as_ref().is_none_or(|(known, _)| rank < *known) {
            *slot = Some((rank, value));
        }
    }
}

impl<'de> DeserializeSeed<'de> for Value<'_, '_, 'de> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Value<'_, '_, 'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<(), E> {
        self.put(Scalar::Text(Cow::Borrowed(text)));
        Ok(())
    }

    fn visit_str<E>(self, text: &str) -> Result<(), E> {
        self.put(Scalar::Text(Cow::Owned(text.to_owned())));
        Ok(())
    }

    #[expect(clippy::cast_precision_loss, reason = "a status, a size or a time")]
    fn visit_u64<E>(self, number: u64) -> Result<(), E> {
        self.put(Scalar::Number(number as f64));
        Ok(())
    }

    #[expect(clippy::cast_precision_loss, reason = "a status, a size or a time")]
    fn visit_i64<E>(self, number: i64) -> Result<(), E> {
        self.put(Scalar::Number(number as f64));
        Ok(())
    }

    fn visit_f64<E>(self, number: f64) -> Result<(), E> {
        self.put(Scalar::Number(number));
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    /// The first of several, as in Caddy's header fields.
    fn visit_seq<A: SeqAccess<'de>>(self, mut values: A) -> Result<(), A::Error> {
        if values.next_element_seed(self)?.is_some() {
            while values.next_element::<IgnoredAny>()?.is_some() {}
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<(), A::Error> {
        Object { names: &self.name.inner, line: self.line }.visit_map(map)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(line: &str, fields: &str) -> Option<(u64, String, String, u16, u64)> {
        let fields = fields.parse().expect("fields");
        let read = read(line.as_bytes(), &fields)?;
        let entry = read.entry(&mut Combined::default())?;
        let client = entry.client.to_string();
        Some((entry.unix_ms, client, format!("{} {}", entry.method, entry.target), entry.status, entry.bytes))
    }

    /// Promise: the shapes that nginx, Caddy, Traefik and weir write are read alike, names that say the same twice
    /// included.
    #[test]
    fn usual_shapes() {
        let lines = [
            r#"{"time_iso8601":"2016-02-20T00:00:45-05:00","remote_addr":"192.0.2.7","request":"GET /a HTTP/1.0","status":"200","body_bytes_sent":12,"http_referer":"-"}"#,
            r#"{"time_local":"20/Feb/2016:00:00:45 -0500","remote_addr":"192.0.2.7","request":"GET /a HTTP/1.0","status":200,"body_bytes_sent":"12"}"#,
            r#"{"level":"info","ts":1455944445.0,"logger":"http.log.access","request":{"remote_ip":"10.0.0.9","remote_port":"1","client_ip":"192.0.2.7","proto":"HTTP/1.0","method":"GET","host":"x","uri":"/a","headers":{"User-Agent":["U"],"Accept":[]}},"bytes_read":0,"duration":0.1,"size":12,"status":200,"resp_headers":{"Server":["Caddy"]}}"#,
            r#"{"ClientAddr":"192.0.2.7:4711","ClientHost":"192.0.2.7","DownstreamContentSize":12,"DownstreamStatus":200,"OriginStatus":500,"RequestMethod":"GET","RequestPath":"/a","RequestProtocol":"HTTP/1.0","StartUTC":"2016-02-20T05:00:45.0Z","time":"2016-02-20T05:00:45Z"}"#,
            r#"{"time":"2016-02-20T05:00:45.000Z","client":"192.0.2.7","method":"GET","target":"/a","version":"HTTP/1.0","status":200,"response_bytes":12,"answered_by":"app","decision":"forwarded"}"#,
        ];
        for line in lines {
            let expected = (1_455_944_445_000, "192.0.2.7".to_owned(), "GET /a".to_owned(), 200, 12);
            assert_eq!(told(line, ""), Some(expected), "{line}");
        }
    }

    /// Promise: any names will do if they are named, within objects too, and go before those that are known.
    #[test]
    fn named_fields() {
        let line = r#"{"at":1455944445123,"who":{"ip":"192.0.2.7:99"},"http":{"verb":"PUT","url":"\/a\"b","code":"201"},"status":"ok","size":null}"#;
        let fields = "time=at,client=who.ip,method=http.verb,target=http.url,status=http.code";
        let expected = (1_455_944_445_123, "192.0.2.7".to_owned(), "PUT /a\"b".to_owned(), 201, 0);
        assert_eq!(told(line, fields), Some(expected));
        assert_eq!(told(line, ""), None);
    }

    /// Promise: what is no object, or lacks what a request needs, is none; absurd numbers are refused.
    #[test]
    fn rubbish() {
        for line in [
            "{}",
            "{",
            "[]",
            r#"{"time":1,"client":"192.0.2.7","target":"/","status":200} x"#,
            r#"{"time":1,"client":"192.0.2.7","target":"/","status":-1e300}"#,
            r#"{"time":1,"client":"192.0.2.7","target":"/","status":99999}"#,
            r#"{"time":-5,"client":"192.0.2.7","target":"/","status":200}"#,
            r#"{"time":{"a":[]},"client":["192.0.2.7"],"target":{},"status":[]}"#,
        ] {
            assert_eq!(told(line, ""), None, "{line}");
        }
    }

    /// Promise: what weir wrote of itself is known as its own, with the account, the fingerprint and the id of the request.
    #[test]
    fn weirs_own() {
        let line = r#"{"time":"2016-02-20T05:00:45Z","client":"192.0.2.7","target":"/","status":429,"answered_by":"weir","account":"acme","fingerprint":"t13","request_id":"01AR","upstream_us":1500}"#;
        let read = read(line.as_bytes(), &Fields::default()).expect("JSON");
        let entry = read.entry(&mut Combined::default()).expect("a request");
        assert_eq!((entry.account, entry.request_id, entry.by_proxy), (Some("acme"), Some("01AR"), true));
        assert_eq!(entry.fingerprint, Some("t13"));
        assert_eq!(entry.took, Some(Duration::from_micros(1500)));
    }
}
