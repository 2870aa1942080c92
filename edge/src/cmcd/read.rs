//! Reads what a request says. Both transmission modes are dictionaries of structured fields
//! (RFC 9651), the query's after percent-decoding.

use std::borrow::Cow;
use std::convert::Infallible;

use http::HeaderMap;
use percent_encoding::percent_decode_str;
use sfv::visitor::{
    DictionaryVisitor, EntryVisitor, Ignored, InnerListVisitor, ItemVisitor, ParameterVisitor,
};
use sfv::{BareItemFromInput, KeyRef, Parser};

use super::keys::{Key, Kind, ObjectType};
use super::{FIELDS, strip};

/// Bytes of the longest query value, before it is decoded, and of the longest field.
const MAX_BYTES: usize = 4_096;
/// Lines of one field that are read.
const MAX_LINES: usize = 4;
/// Items of one inner list that are read.
const MAX_ITEMS: usize = 8;

/// One value. An inner list gives one entry for each of its items.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Entry<'a> {
    /// Its key.
    pub key: Key,
    /// What it is.
    pub value: Value<'a>,
    /// The object type that an item of a list is of (version 2).
    pub of: Option<ObjectType>,
}

/// A value of the type that its key has.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Value<'a> {
    /// In the key's unit: milliseconds, kilobits per second, or a count.
    Integer(i64),
    /// `pr`.
    Decimal(f64),
    /// A key without a value is true.
    Flag(bool),
    /// A word that the key knows.
    Token(&'static str),
    /// A text.
    Text(&'a str),
}

/// What was passed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Faults {
    /// Values of the wrong type, out of their bounds, or of a key that was there already.
    pub values: u32,
    /// Dictionaries that break off: what stands before the fault counts.
    pub dictionaries: u32,
    /// Dictionaries that are too long to be read.
    pub too_long: u32,
}

/// Gives what a request says to `visit`. What is unknown is passed over; what is wrong too,
/// and it is counted. Of a key that is repeated the first counts. The query goes before the
/// fields.
pub fn read(query: Option<&str>, headers: &HeaderMap, visit: impl FnMut(Entry<'_>)) -> Faults {
    let mut reader = Reader {
        visit,
        seen: 0,
        faults: Faults::default(),
    };
    if let Some(encoded) = query.and_then(strip::parameter) {
        match encoded.len() <= MAX_BYTES {
            true => {
                let decoded: Cow<'_, [u8]> = percent_decode_str(encoded).into();
                reader.dictionary(&decoded);
            }
            false => reader.faults.too_long += 1,
        }
    }
    if strip::has_fields(headers) {
        for name in &FIELDS {
            for line in headers.get_all(name).iter().take(MAX_LINES) {
                match line.len() <= MAX_BYTES {
                    true => reader.dictionary(line.as_bytes()),
                    false => reader.faults.too_long += 1,
                }
            }
        }
    }
    reader.faults
}

struct Reader<F> {
    visit: F,
    /// A bit for each key that was there.
    seen: u64,
    faults: Faults,
}

impl<F: FnMut(Entry<'_>)> Reader<F> {
    fn dictionary(&mut self, text: &[u8]) {
        let parsed = Parser::new(text).parse_dictionary_with_visitor(self);
        if parsed.is_err() {
            self.faults.dictionaries += 1;
        }
    }

    fn take(&mut self, key: Option<Key>, item: &BareItemFromInput<'_>, of: Option<ObjectType>) {
        let Some(key) = key else { return };
        match value(key.kind(), item) {
            Some(value) => (self.visit)(Entry { key, value, of }),
            None => self.faults.values += 1,
        }
    }
}

/// The value, where it is of the type `kind`.
fn value<'a>(kind: Kind, item: &'a BareItemFromInput<'_>) -> Option<Value<'a>> {
    Some(match (kind, item) {
        (Kind::Integer | Kind::Integers, BareItemFromInput::Integer(number)) => {
            Value::Integer(i64::from(*number))
        }
        (Kind::Decimal, BareItemFromInput::Decimal(number)) => Value::Decimal(f64::from(*number)),
        // At most fifteen digits, so that it is exact.
        (Kind::Decimal, BareItemFromInput::Integer(number)) => {
            Value::Decimal(i64::from(*number) as f64)
        }
        (Kind::Flag, BareItemFromInput::Boolean(set)) => Value::Flag(*set),
        (Kind::Token(words), BareItemFromInput::Token(word)) => {
            Value::Token(words.iter().find(|known| **known == word.as_str())?)
        }
        (Kind::Text(most) | Kind::Texts(most), BareItemFromInput::String(text)) => {
            Some(text.as_str())
                .filter(|text| text.len() <= most)
                .map(Value::Text)?
        }
        _ => return None,
    })
}

impl<'de, F: FnMut(Entry<'_>)> DictionaryVisitor<'de> for Reader<F> {
    type Error = Infallible;

    fn entry(&mut self, key: &'de KeyRef) -> Result<impl EntryVisitor<'de>, Infallible> {
        let mut key = Key::named(key.as_str());
        if let Some(known) = key {
            if self.seen & known.bit() != 0 {
                self.faults.values += 1;
                key = None;
            }
            self.seen |= known.bit();
        }
        Ok(Member { reader: self, key })
    }
}

/// A key and its value; without a key it is passed over. (As an `Option` it would not be told
/// where parameters end.)
struct Member<'r, F> {
    reader: &'r mut Reader<F>,
    key: Option<Key>,
}

impl<'de, F: FnMut(Entry<'_>)> ItemVisitor<'de> for Member<'_, F> {
    type Error = Infallible;

    fn bare_item(
        self,
        item: BareItemFromInput<'de>,
    ) -> Result<impl ParameterVisitor<'de>, Infallible> {
        self.reader.take(self.key, &item, None);
        Ok(Ignored)
    }
}

impl<'de, F: FnMut(Entry<'_>)> EntryVisitor<'de> for Member<'_, F> {
    fn inner_list(self) -> Result<impl InnerListVisitor<'de>, Infallible> {
        let is_list = |key: &Key| matches!(key.kind(), Kind::Integers | Kind::Texts(_));
        if self.key.is_some_and(|key| !is_list(&key)) {
            self.reader.faults.values += 1;
        }
        Ok(Items {
            key: self.key.filter(is_list),
            reader: self.reader,
            left: MAX_ITEMS,
        })
    }
}

/// An inner list.
struct Items<'r, F> {
    reader: &'r mut Reader<F>,
    key: Option<Key>,
    left: usize,
}

impl<'de, F: FnMut(Entry<'_>)> InnerListVisitor<'de> for Items<'_, F> {
    type Error = Infallible;

    fn item(&mut self) -> Result<impl ItemVisitor<'de>, Infallible> {
        if self.left == 0 && self.key.take().is_some() {
            self.reader.faults.values += 1;
        }
        self.left = self.left.saturating_sub(1);
        Ok(Item {
            reader: self.reader,
            key: self.key,
        })
    }

    fn finish(self) -> Result<impl ParameterVisitor<'de>, Infallible> {
        Ok(Ignored)
    }
}

/// An item of an inner list.
struct Item<'r, F> {
    reader: &'r mut Reader<F>,
    key: Option<Key>,
}

impl<'de, F: FnMut(Entry<'_>)> ItemVisitor<'de> for Item<'_, F> {
    type Error = Infallible;

    fn bare_item(
        self,
        item: BareItemFromInput<'de>,
    ) -> Result<impl ParameterVisitor<'de>, Infallible> {
        Ok(Parameters {
            reader: self.reader,
            key: self.key,
            item,
            of: None,
        })
    }
}

/// The parameters of an item, which say what object type it is of.
struct Parameters<'r, 'de, F> {
    reader: &'r mut Reader<F>,
    key: Option<Key>,
    item: BareItemFromInput<'de>,
    of: Option<ObjectType>,
}

impl<'de, F: FnMut(Entry<'_>)> ParameterVisitor<'de> for Parameters<'_, 'de, F> {
    type Error = Infallible;

    fn parameter(
        &mut self,
        key: &'de KeyRef,
        value: BareItemFromInput<'de>,
    ) -> Result<(), Infallible> {
        if matches!(value, BareItemFromInput::Boolean(true))
            && let Some(of) = ObjectType::of(key.as_str())
        {
            self.of = Some(of);
        }
        Ok(())
    }

    fn finish(self) -> Result<(), Infallible> {
        self.reader.take(self.key, &self.item, self.of);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};
    use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
    use proptest::prelude::*;

    use super::*;

    /// What was said, as text; and what was passed over.
    fn said(query: Option<&str>, fields: &[(&'static str, &str)]) -> (Vec<String>, Faults) {
        let headers = fields
            .iter()
            .map(|(name, value)| {
                let value = HeaderValue::from_str(value).unwrap();
                (HeaderName::from_static(name), value)
            })
            .collect();
        let mut found = Vec::new();
        let faults = read(query, &headers, |entry| found.push(spelled(&entry)));
        (found, faults)
    }

    fn spelled(entry: &Entry<'_>) -> String {
        let value = match entry.value {
            Value::Integer(number) => number.to_string(),
            Value::Decimal(number) => format!("{number:?}"),
            Value::Flag(set) => set.to_string(),
            Value::Token(word) => word.to_owned(),
            Value::Text(text) => format!("{text:?}"),
        };
        match entry.of {
            Some(of) => format!("{}={value};{of}", entry.key.as_str()),
            None => format!("{}={value}", entry.key.as_str()),
        }
    }

    #[test]
    fn version_1_comes_in_the_query() {
        let query = "a=1&CMCD=bl%3D21300%2Cbr%3D3200%2Cbs%2Ccid%3D%22faec5fc2-ac30%22%2Cd%3D4004%2C\
            dl%3D18500%2Cmtp%3D48100%2Cnor%3D%22..%252Fseg_v2.m4v%22%2Cot%3Dv%2Cpr%3D1.08%2C\
            sf%3Dd%2Csid%3D%226e2fb550-c457-11e9-bb97-0800200c9a66%22%2Cst%3Dv%2Csu%2Ctb%3D6000&b=2";
        let (found, faults) = said(Some(query), &[]);
        let expected = [
            "bl=21300",
            "br=3200",
            "bs=true",
            "cid=\"faec5fc2-ac30\"",
            "d=4004",
            "dl=18500",
            "mtp=48100",
            "ot=v",
            "pr=1.08",
            "sf=d",
            "sid=\"6e2fb550-c457-11e9-bb97-0800200c9a66\"",
            "st=v",
            "su=true",
            "tb=6000",
        ];
        assert_eq!(found, expected);
        assert_eq!(faults, Faults::default());
    }

    #[test]
    fn version_2_comes_in_fields_and_has_lists() {
        let (found, faults) = said(
            None,
            &[
                ("cmcd-status", "bs=?0,ec=(\"E1\" \"E2\"),nr"),
                ("cmcd-session", "sid=\"s\",v=2,sf=h,st=ll"),
                (
                    "cmcd-request",
                    "bl=(2000;v 1500;a),mtp=(25400),sta=p,ltc=3100",
                ),
                (
                    "cmcd-object",
                    "br=(5000;v 128;a;x=1),ot=v,com.example-x=\"y\"",
                ),
                ("cmcd-object", "tb=(6000)"),
            ],
        );
        let expected = [
            "br=5000;v",
            "br=128;a",
            "ot=v",
            "tb=6000",
            "bl=2000;v",
            "bl=1500;a",
            "mtp=25400",
            "sta=p",
            "ltc=3100",
            "sid=\"s\"",
            "v=2",
            "sf=h",
            "st=ll",
            "bs=false",
            "ec=\"E1\"",
            "ec=\"E2\"",
            "nr=true",
        ];
        assert_eq!(found, expected);
        assert_eq!(faults, Faults::default());
    }

    #[test]
    fn what_is_wrong_is_passed_over_and_counted() {
        let long = format!("sid=\"{}\"", "x".repeat(65));
        for (text, expected, values, dictionaries) in [
            ("bl=\"1\",d=4", &["d=4"][..], 1, 0),
            ("ot=zz,sf=h", &["sf=h"], 1, 0),
            ("bs=1,su=?1", &["su=true"], 1, 0),
            ("sid=abc,d=4", &["d=4"], 1, 0),
            ("d=(1 2),st=l", &["st=l"], 1, 0),
            ("bl=(1 \"2\" 3.5)", &["bl=1"], 2, 0),
            ("d=1,d=2", &["d=1"], 1, 0),
            ("d=1,=2,st=l", &["d=1"], 0, 1),
            ("d=1,", &["d=1"], 0, 1),
            ("D=1", &[], 0, 1),
            (
                "bl=(1 2 3 4 5 6 7 8 9)",
                &[
                    "bl=1", "bl=2", "bl=3", "bl=4", "bl=5", "bl=6", "bl=7", "bl=8",
                ],
                1,
                0,
            ),
            (&long, &[], 1, 0),
            ("", &[], 0, 0),
        ] {
            let (found, faults) = said(None, &[("cmcd-request", text)]);
            assert_eq!(found, expected, "{text}");
            assert_eq!(
                (faults.values, faults.dictionaries),
                (values, dictionaries),
                "{text}"
            );
        }
        let longer = format!("CMCD={}", "a".repeat(MAX_BYTES + 1));
        let (found, faults) = said(Some(&longer), &[]);
        assert_eq!((found.len(), faults.too_long), (0, 1));
    }

    #[test]
    fn an_integer_will_do_for_a_decimal() {
        assert_eq!(said(Some("CMCD=pr%3D2"), &[]).0, ["pr=2.0"]);
        assert_eq!(said(Some("CMCD=pr%3D0.5"), &[]).0, ["pr=0.5"]);
    }

    /// A value of the key's type as a player writes it, and as it is read.
    fn member(key: Key) -> BoxedStrategy<(String, Vec<String>)> {
        let name = key.as_str();
        let text = |most: usize| prop::collection::vec("[ -~]", 0..most.min(12));
        let quoted =
            |text: &str| format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""));
        match key.kind() {
            Kind::Integer => (-999_999_999_999_999..=999_999_999_999_999i64)
                .prop_map(move |n| (format!("{name}={n}"), vec![format!("{name}={n}")]))
                .boxed(),
            Kind::Decimal => (0..10_000u32)
                .prop_map(move |n| {
                    let number = f64::from(n) / 1_000.0;
                    let read = format!("{name}={number:?}");
                    (format!("{name}={number:.3}"), vec![read])
                })
                .boxed(),
            Kind::Flag => any::<bool>()
                .prop_map(move |set| {
                    let written = if set {
                        name.to_owned()
                    } else {
                        format!("{name}=?0")
                    };
                    (written, vec![format!("{name}={set}")])
                })
                .boxed(),
            Kind::Token(words) => prop::sample::select(words)
                .prop_map(move |word| (format!("{name}={word}"), vec![format!("{name}={word}")]))
                .boxed(),
            Kind::Text(most) => text(most)
                .prop_map(move |characters| {
                    let text = characters.concat();
                    let read = format!("{name}={text:?}");
                    (format!("{name}={}", quoted(&text)), vec![read])
                })
                .boxed(),
            Kind::Integers => {
                let kind = prop::option::of(prop::sample::select(ObjectType::ALL.to_vec()));
                prop::collection::vec((0..1_000_000i64, kind), 0..MAX_ITEMS)
                    .prop_map(move |items| {
                        let item = |(number, of): &(i64, Option<ObjectType>)| match of {
                            Some(of) => format!("{number};{of}"),
                            None => number.to_string(),
                        };
                        let items: Vec<_> = items.iter().map(item).collect();
                        let read = items.iter().map(|item| format!("{name}={item}")).collect();
                        (format!("{name}=({})", items.join(" ")), read)
                    })
                    .boxed()
            }
            Kind::Texts(most) => prop::collection::vec(text(most), 0..MAX_ITEMS)
                .prop_map(move |items| {
                    let items: Vec<String> = items.iter().map(|text| text.concat()).collect();
                    let read = items
                        .iter()
                        .map(|text| format!("{name}={text:?}"))
                        .collect();
                    let items: Vec<_> = items.iter().map(|text| quoted(text)).collect();
                    (format!("{name}=({})", items.join(" ")), read)
                })
                .boxed(),
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_in_both_modes(
            members in prop::sample::subsequence(Key::all().collect::<Vec<_>>(), 0..=12)
                .prop_flat_map(|keys| keys.into_iter().map(member).collect::<Vec<_>>())
        ) {
            let written: Vec<_> = members.iter().map(|(written, _)| written.as_str()).collect();
            let written = written.join(",");
            let expected: Vec<String> = members.iter().flat_map(|(_, read)| read.clone()).collect();
            let query = format!("x=1&CMCD={}", utf8_percent_encode(&written, NON_ALPHANUMERIC));
            prop_assume!(query.len() < MAX_BYTES && written.len() <= MAX_BYTES);
            let (found, faults) = said(Some(&query), &[]);
            prop_assert_eq!(&found, &expected);
            prop_assert_eq!(faults, Faults::default());
            let (found, faults) = said(None, &[("cmcd-session", &written)]);
            prop_assert_eq!(&found, &expected);
            prop_assert_eq!(faults, Faults::default());
        }

        #[test]
        fn whatever_comes_is_read(text in "[ -~]{0,200}") {
            let query = format!("CMCD={text}");
            said(Some(&query), &[("cmcd-request", &text)]);
        }
    }
}
