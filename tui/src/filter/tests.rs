use std::borrow::Cow;

use proptest::prelude::*;

use super::{Datum, Filter, Subject, Word};

struct Thing {
    name: &'static str,
    status: &'static str,
    size_gib: f64,
    age_s: f64,
    backup: Option<&'static str>,
    is_attached: bool,
}

const DB: Thing = Thing {
    name: "pg-prod-01",
    status: "in-use",
    size_gib: 500.0,
    age_s: 8.0 * 86_400.0,
    backup: None,
    is_attached: true,
};

impl Subject for Thing {
    fn any_text(&self, fits: &mut dyn FnMut(&str) -> bool) -> bool {
        fits(self.name)
    }

    fn field(&self, name: &str) -> Datum<'_> {
        match name {
            "name" => Datum::Text(Cow::Borrowed(self.name)),
            "status" => Datum::Text(Cow::Borrowed(self.status)),
            "size" => Datum::Bytes(self.size_gib * 1024.0 * 1024.0 * 1024.0),
            "age" => Datum::Seconds(self.age_s),
            "used" => Datum::Number(81.0),
            "backup" => self
                .backup
                .map_or(Datum::Absent, |at| Datum::Text(Cow::Borrowed(at))),
            _ => Datum::Absent,
        }
    }

    fn is(&self, word: Word) -> bool {
        word == Word::Attached && self.is_attached
    }
}

fn takes(text: &str) -> bool {
    Filter::parse(text).unwrap().takes(&DB)
}

#[test]
fn what_is_written_is_what_is_meant() {
    for text in [
        "",
        "prod",
        "PROD",
        "pg prod",
        "pg,prod",
        "!web",
        "~ppd",
        "/^pg-.*\\d$/",
        "status=in-use",
        "status=IN-USE",
        "status=error|in-use",
        "status = in-use".split(' ').collect::<String>().leak(),
        "status!=error",
        "status!=error|deleting",
        "!status=error|deleting",
        "size=500",
        "size>499G",
        "size>=500GiB",
        "size<1T",
        "size>0.4T",
        "used>80%",
        "age>7d",
        "age<2w",
        "backup=never",
        "never",
        "attached",
        "web|prod",
        "web | prod",
        "\"pg-prod\"",
        "name='pg-prod-01'",
        "name>a name<z",
    ] {
        assert!(takes(text), "{text:?} should take it");
    }
    for text in [
        "web",
        "!prod",
        "!web|prod",
        "pg web",
        "~dpp",
        "/^prod/",
        "status=error",
        "status!=in-use",
        "status!=error|in-use",
        "size>500G",
        "size<7d",
        "age>10G",
        "age>9d",
        "backup!=never",
        "orphan",
        "\"attached\"",
        "nosuch=1",
        "nosuch>0",
        "attached size>1T",
    ] {
        assert!(!takes(text), "{text:?} should not take it");
    }
}

#[test]
fn what_cannot_be_read_is_refused_with_its_place() {
    for (text, at) in [
        ("status=", 7),
        ("=error", 0),
        ("a|", 2),
        ("\"open", 5),
        ("/open", 5),
        ("/(/", 3),
        ("a|!b", 2),
        ("a b!c", 4),
        ("x=1|y!=2", 8),
        ("!", 1),
        ("\"f\"=1", 4),
    ] {
        let bad = Filter::parse(text).unwrap_err();
        assert_eq!(bad.at, at, "{text:?}: {bad}");
    }
    assert!(Filter::parse(&"a ".repeat(5000)).is_err());
}

#[test]
fn a_server_is_asked_only_for_what_must_be_so() {
    let equal = |text: &str| {
        let filter = Filter::parse(text).unwrap();
        filter.equal_to("status").map(str::to_owned)
    };
    assert_eq!(equal("pg status=error").as_deref(), Some("error"));
    for text in [
        "status=error|in-use",
        "status!=error",
        "!status=error",
        "status>a",
        "status=never",
    ] {
        assert_eq!(equal(text), None, "{text}");
    }
}

#[test]
fn loosened_it_takes_what_it_only_nearly_means() {
    let filter = Filter::parse("pgprd").unwrap();
    assert!(!filter.takes(&DB) && filter.loosened().takes(&DB));
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused_and_never_a_panic(text in ".{0,60}") {
        if let Ok(filter) = Filter::parse(&text) {
            let _ = filter.takes(&DB);
        }
    }

    #[test]
    fn what_is_written_back_means_the_same(
        text in "[a-c!|=<>~, \"'\\\\/0-9GdT%-]{0,40}"
    ) {
        if let Ok(filter) = Filter::parse(&text) {
            let again = Filter::parse(&filter.to_string());
            prop_assert_eq!(again.as_ref(), Ok(&filter), "{:?} became {:?}", text, filter.to_string());
            prop_assert_eq!(again.unwrap().takes(&DB), filter.takes(&DB));
        }
    }

    #[test]
    fn turned_round_it_takes_the_others(
        text in "(pg|web|status=(error|in-use)|size>[0-9]{1,3}|age<[0-9]{1,2}d|attached)"
    ) {
        let straight = Filter::parse(&text).unwrap().takes(&DB);
        let turned = Filter::parse(&format!("!{text}")).unwrap().takes(&DB);
        prop_assert_ne!(straight, turned);
    }
}
