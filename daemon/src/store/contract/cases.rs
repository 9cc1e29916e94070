//! The cases of the contract; each gets a fresh store of the small schema.

use std::sync::Arc;

use crate::store::{
    Batch, EngineError, MAX_STATEMENTS, Query, Row, Sql, Store, StoreError, Value, like,
};

const INSERT: Sql = Sql {
    name: "thing.insert",
    text: "INSERT INTO things (id, name, status, size_gib) VALUES ($1, $2, $3, $4)",
};
const SET_STATUS: Sql = Sql {
    name: "thing.set_status",
    text: "UPDATE things SET status = $1 WHERE id = $2 AND status IN ($3, $4)",
};
const SET_SIZE: Sql = Sql {
    name: "thing.set_size",
    text: "UPDATE things SET size_gib = $1 WHERE id = $2",
};
const DELETE: Sql = Sql {
    name: "thing.delete",
    text: "DELETE FROM things WHERE id = $1",
};
const LIST: Sql = Sql {
    name: "thing.list",
    text: "SELECT id, name, status, size_gib FROM things ORDER BY id",
};
const COUNT: Sql = Sql {
    name: "thing.count",
    text: "SELECT count(*) FROM things",
};
const INSERT_PART: Sql = Sql {
    name: "part.insert",
    text: "INSERT INTO parts (id, thing_id) VALUES ($1, $2)",
};
/// Takes from a quota, if the limit allows: project, resource, amount, limit.
pub(super) const TAKE: Sql = Sql {
    name: "usage.take",
    text: "INSERT INTO usages (project_id, resource, in_use)
        SELECT $1, $2, CAST($3 AS BIGINT) WHERE CAST($3 AS BIGINT) <= CAST($4 AS BIGINT)
        ON CONFLICT (project_id, resource) DO UPDATE SET in_use = usages.in_use + excluded.in_use
        WHERE usages.in_use + excluded.in_use <= CAST($4 AS BIGINT)",
};
const USAGE: Sql = Sql {
    name: "usage.get",
    text: "SELECT in_use FROM usages WHERE project_id = $1 AND resource = $2",
};

/// Every statement of the cases.
pub(super) const STATEMENTS: &[Sql] = &[
    INSERT,
    SET_STATUS,
    SET_SIZE,
    DELETE,
    LIST,
    COUNT,
    INSERT_PART,
    TAKE,
    USAGE,
];

fn thing(id: &str, name: Option<&str>) -> Vec<Value> {
    vec![id.into(), name.into(), "available".into(), 1.into()]
}

/// A batch that inserts one thing.
pub(in crate::store) fn insert(id: &str, name: Option<&str>) -> Batch {
    let mut batch = Batch::new();
    batch.add(INSERT, thing(id, name));
    batch
}

fn query(text: &'static str, values: Vec<Value>) -> Query {
    Query {
        text: text.into(),
        values,
    }
}

/// How many things there are.
pub(in crate::store) async fn count(store: &Store) -> i64 {
    let row = store.row(Query::of(COUNT, vec![])).await.unwrap().unwrap();
    row.int(0).unwrap()
}

async fn texts(store: &Store, text: &'static str, values: Vec<Value>) -> Vec<String> {
    let rows = store.rows(query(text, values)).await.unwrap();
    rows.iter()
        .map(|row| row.text(0).unwrap().to_owned())
        .collect()
}

pub(super) async fn a_batch_happens_whole_or_not_at_all(store: &Store) {
    let mut batch = insert("a", None);
    batch.extend(insert("b", None));
    store.write(batch).await.unwrap();
    let mut batch = insert("c", None);
    batch.extend(insert("a", None));
    let error = store.write(batch).await.unwrap_err();
    assert!(
        matches!(
            error,
            StoreError::Taken {
                statement: "thing.insert"
            }
        ),
        "{error:?}"
    );
    assert_eq!(texts(store, LIST.text, vec![]).await, ["a", "b"]);
}

pub(super) async fn a_guard_that_touches_nothing_undoes_all(store: &Store) {
    store.write(insert("a", None)).await.unwrap();
    let mut batch = insert("b", None);
    batch.guard(
        "thing is available",
        SET_STATUS,
        vec![
            "deleting".into(),
            "a".into(),
            "error".into(),
            "in-use".into(),
        ],
    );
    let error = store.write(batch).await.unwrap_err();
    assert!(
        matches!(
            error,
            StoreError::Conflict {
                guard: "thing is available"
            }
        ),
        "{error:?}"
    );
    assert_eq!(count(store).await, 1);
    // The same guard met, and an unguarded statement that touches nothing.
    let mut batch = insert("b", None);
    batch.add(DELETE, vec!["nothing".into()]);
    batch.guard(
        "thing is available",
        SET_STATUS,
        vec![
            "deleting".into(),
            "a".into(),
            "error".into(),
            "available".into(),
        ],
    );
    store.write(batch).await.unwrap();
    assert_eq!(count(store).await, 2);
}

pub(super) async fn a_bad_batch_leaves_its_neighbours_alone(store: &Store) {
    store.write(insert("taken", None)).await.unwrap();
    let writes = (0..60).map(|number| {
        let mut batch = insert(&format!("n{number:02}"), None);
        match number % 3 {
            0 => {}
            1 => {
                batch.extend(insert("taken", None));
            }
            _ => {
                batch.guard("never", DELETE, vec!["nothing".into()]);
            }
        }
        async move { (number, store.write(batch).await) }
    });
    for (number, outcome) in futures_util::future::join_all(writes).await {
        match number % 3 {
            0 => outcome.unwrap(),
            1 => assert!(
                matches!(outcome, Err(StoreError::Taken { .. })),
                "{outcome:?}"
            ),
            _ => assert!(matches!(
                outcome,
                Err(StoreError::Conflict { guard: "never" })
            )),
        }
    }
    assert_eq!(count(store).await, 21);
}

pub(super) async fn a_taken_key_names_its_statement(store: &Store) {
    store.write(insert("a", Some("name"))).await.unwrap();
    for batch in [insert("a", None), insert("b", Some("name"))] {
        let error = store.write(batch).await.unwrap_err();
        assert!(
            matches!(
                error,
                StoreError::Taken {
                    statement: "thing.insert"
                }
            ),
            "{error:?}"
        );
    }
    // NULL is no key: many may have none.
    store.write(insert("c", None)).await.unwrap();
    store.write(insert("d", None)).await.unwrap();
}

pub(super) async fn nulls_and_unicode_come_back_as_they_went_in(store: &Store) {
    let name = "Größe — 体积 🪨 \u{202e}\r\n\t'\"\\%";
    store.write(insert("", Some(name))).await.unwrap();
    store.write(insert("\u{10ffff}", None)).await.unwrap();
    let rows = store.rows(Query::of(LIST, vec![])).await.unwrap();
    let row = |id: &str, name: Option<&str>| Row(thing(id, name));
    assert_eq!(rows, [row("", Some(name)), row("\u{10ffff}", None)]);
    let mut batch = Batch::new();
    for size in [i64::MIN, i64::MAX] {
        batch.guard("size", SET_SIZE, vec![size.into(), "".into()]);
    }
    store.write(batch).await.unwrap();
    let rows = store.rows(Query::of(LIST, vec![])).await.unwrap();
    assert_eq!(rows[0].int(3).unwrap(), i64::MAX);
}

pub(super) async fn texts_order_by_bytes_and_nulls_where_told(store: &Store) {
    let names = [
        "b", "B", "a", "A", "_", "-", "ä", "Z", "z", "", "10", "9", "é", "ＺＺ", "🪨",
    ];
    for (number, name) in names.iter().enumerate() {
        store
            .write(insert(&format!("{number:02}"), Some(name)))
            .await
            .unwrap();
    }
    store.write(insert("null", None)).await.unwrap();
    let mut want: Vec<&str> = names.to_vec();
    want.sort_unstable();
    let text = "SELECT coalesce(name, '(null)') FROM things ORDER BY name ASC NULLS LAST";
    assert_eq!(
        texts(store, text, vec![]).await,
        [&want[..], &["(null)"]].concat()
    );
    want.reverse();
    let text = "SELECT coalesce(name, '(null)') FROM things ORDER BY name DESC NULLS FIRST";
    assert_eq!(
        texts(store, text, vec![]).await,
        [&["(null)"], &want[..]].concat()
    );
    let text = "SELECT name FROM things WHERE name > $1 ORDER BY name NULLS LAST";
    assert_eq!(
        texts(store, text, vec!["z".into()]).await,
        ["ä", "é", "ＺＺ", "🪨"]
    );
}

pub(super) async fn like_is_case_sensitive_and_escapes(store: &Store) {
    for name in ["Disk", "disk", "50%_a", "50x", "Ä", r"back\slash"] {
        store.write(insert(name, Some(name))).await.unwrap();
    }
    let text = r"SELECT name FROM things WHERE name LIKE $1 ESCAPE '\' ORDER BY name";
    for (pattern, want) in [
        (like::containing("isk"), vec!["Disk", "disk"]),
        (like::starting_with("d"), vec!["disk"]),
        (like::containing("%_"), vec!["50%_a"]),
        (like::containing(r"\"), vec![r"back\slash"]),
        ("_".to_owned(), vec!["Ä"]),
        ("50_".to_owned(), vec!["50x"]),
    ] {
        assert_eq!(
            texts(store, text, vec![pattern.as_str().into()]).await,
            want,
            "{pattern}"
        );
    }
    let text = r"SELECT name FROM things WHERE lower(name) LIKE $1 ESCAPE '\' ORDER BY name";
    assert_eq!(
        texts(store, text, vec!["di%".into()]).await,
        ["Disk", "disk"]
    );
    // Folding is of ASCII only.
    assert_eq!(texts(store, text, vec!["Ä".into()]).await, ["Ä"]);
}

pub(super) async fn conditions_and_counts_read_as_numbers(store: &Store) {
    store.write(insert("a", None)).await.unwrap();
    let text =
        "SELECT count(*), EXISTS (SELECT 1 FROM things WHERE id = 'a'), id = 'b', max(size_gib),
        CAST(coalesce(sum(size_gib), 0) AS BIGINT), 7 FROM things GROUP BY id";
    let row = store.row(query(text, vec![])).await.unwrap().unwrap();
    let want: Vec<Value> = [1, 1, 0, 1, 1, 7].map(Value::Int).to_vec();
    assert_eq!(row, Row(want));
    let error = store.row(query("SELECT 1.5", vec![])).await.unwrap_err();
    assert!(
        matches!(
            error,
            StoreError::Refused {
                source: EngineError::Column { column: 0 },
                ..
            }
        ),
        "{error:?}"
    );
}

pub(super) async fn of_two_that_race_one_wins(store: &Store) {
    for round in 0..20 {
        let id = format!("r{round}");
        store.write(insert(&id, None)).await.unwrap();
        let contender = |status: &'static str| {
            let (store, id) = (store.clone(), id.clone());
            tokio::spawn(async move {
                let mut batch = Batch::new();
                let from = ["available", "error"].map(Value::from);
                batch.guard(
                    "from",
                    SET_STATUS,
                    [vec![status.into(), id.into()], from.to_vec()].concat(),
                );
                store.write(batch).await
            })
        };
        let (one, two) = tokio::join!(contender("deleting"), contender("extending"));
        let outcomes = [one.unwrap(), two.unwrap()];
        assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1);
        assert!(
            outcomes
                .iter()
                .any(|outcome| matches!(outcome, Err(StoreError::Conflict { guard: "from" }))),
            "{outcomes:?}"
        );
    }
}

pub(super) async fn racing_quotas_never_exceed_the_limit(store: &Store) {
    const LIMIT: i64 = 100;
    let takers: Vec<_> = (0..64_i64)
        .map(|task| {
            let store = store.clone();
            tokio::spawn(async move {
                let mut taken = 0;
                for round in 0..4 {
                    let amount = 1 + (task + round) % 3;
                    let mut batch = insert(&format!("{task}-{round}"), None);
                    let usage = vec!["p".into(), "gigabytes".into(), amount.into(), LIMIT.into()];
                    batch.guard("quota", TAKE, usage);
                    match store.write(batch).await {
                        Ok(()) => taken += amount,
                        Err(StoreError::Conflict { guard: "quota" }) => {}
                        Err(other) => panic!("{other:?}"),
                    }
                }
                taken
            })
        })
        .collect();
    let mut taken = 0;
    for taker in takers {
        taken += taker.await.unwrap();
    }
    let row = store
        .row(Query::of(USAGE, vec!["p".into(), "gigabytes".into()]))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(row.int(0).unwrap(), taken);
    // Whoever was refused wanted at most 3, so no more than 2 can be left.
    assert!((LIMIT - 2..=LIMIT).contains(&taken), "{taken}");
}

pub(super) async fn a_read_sees_one_view(store: &Store) {
    let mut batch = insert("a", None);
    batch.extend(insert("b", None));
    store.write(batch).await.unwrap();
    let writer = {
        let store = store.clone();
        tokio::spawn(async move {
            for size in 2..200_i64 {
                let mut batch = Batch::new();
                batch.guard("a", SET_SIZE, vec![size.into(), "a".into()]);
                batch.guard("b", SET_SIZE, vec![size.into(), "b".into()]);
                store.write(batch).await.unwrap();
            }
        })
    };
    const SIZE: &str = "SELECT size_gib FROM things WHERE id = $1";
    let mut reads = 0;
    while !writer.is_finished() || reads == 0 {
        let queries = ["a", "b", "a", "b"].map(|id| query(SIZE, vec![id.into()]));
        let answers = store.read(queries.to_vec()).await.unwrap();
        let sizes: Vec<i64> = answers.iter().map(|rows| rows[0].int(0).unwrap()).collect();
        assert!(sizes.iter().all(|size| *size == sizes[0]), "{sizes:?}");
        reads += 1;
    }
    writer.await.unwrap();
}

pub(super) async fn what_was_answered_is_read(store: &Store) {
    for number in 1..100 {
        store
            .write(insert(&format!("{number}"), None))
            .await
            .unwrap();
        assert_eq!(count(store).await, number);
    }
}

pub(super) async fn big_values_come_back(store: &Store) {
    let big = "é".repeat(1 << 20);
    let mut batch = Batch::new();
    batch.add(
        INSERT,
        vec!["a".into(), Value::Null, big.as_str().into(), 1.into()],
    );
    store.write(batch).await.unwrap();
    let row = store.row(Query::of(LIST, vec![])).await.unwrap().unwrap();
    assert!(row.text(2).unwrap() == big);
}

pub(super) async fn parameters_must_match(store: &Store) {
    let refused = |outcome: Result<(), StoreError>| match outcome {
        Err(StoreError::Refused {
            source: EngineError::Parameters { wanted, given },
            ..
        }) => (wanted, given),
        other => panic!("{other:?}"),
    };
    for given in [0, 3, 5] {
        let values = vec![Value::from("x"); given];
        let mut batch = Batch::new();
        batch.add(INSERT, values.clone());
        assert_eq!(refused(store.write(batch).await), (4, given));
        let read = store.rows(query(
            "SELECT id FROM things WHERE id IN ($1, $2, $1, $3, $4)",
            values,
        ));
        assert_eq!(refused(read.await.map(drop)), (4, given));
    }
    let gap = "SELECT id FROM things WHERE id = $1 AND status = $3";
    let read = store.rows(query(gap, vec!["a".into(), "b".into()]));
    assert_eq!(refused(read.await.map(drop)).1, 2);
    assert_eq!(count(store).await, 0);
    // A parameter is its number, not its place.
    store.write(insert("a", Some("b"))).await.unwrap();
    let swapped = "SELECT id FROM things WHERE name = $2 AND id = $1 AND name = $2";
    let found = texts(store, swapped, vec!["a".into(), "b".into()]).await;
    assert_eq!(found, ["a"]);
}

pub(super) async fn what_is_not_a_write_is_refused(store: &Store) {
    for text in [
        "SELECT id FROM things",
        "INSERT INTO things (id, status, size_gib) VALUES ('a', 'b', 1) RETURNING id",
        "INSERT INTO nowhere VALUES (1)",
        "nonsense",
    ] {
        let mut batch = insert("a", None);
        batch.add(
            Sql {
                name: "test.bad",
                text,
            },
            vec![],
        );
        let error = store.write(batch).await.unwrap_err();
        assert!(
            matches!(&error, StoreError::Refused { statement, .. } if statement == "test.bad"),
            "{text}: {error:?}"
        );
    }
    assert_eq!(count(store).await, 0);
}

pub(super) async fn a_read_cannot_write(store: &Store) {
    store.write(insert("a", None)).await.unwrap();
    const WRITE: &str = "DELETE FROM things WHERE id = 'a'";
    let alone = store.rows(query(WRITE, vec![])).await;
    assert!(
        matches!(alone, Err(StoreError::Refused { .. })),
        "{alone:?}"
    );
    let beside = vec![Query::of(COUNT, vec![]), query(WRITE, vec![])];
    let beside = store.read(beside).await;
    assert!(
        matches!(beside, Err(StoreError::Refused { .. })),
        "{beside:?}"
    );
    assert_eq!(count(store).await, 1);
}

pub(super) async fn a_value_with_nul_is_refused(store: &Store) {
    let error = store.write(insert("a", Some("a\0b"))).await.unwrap_err();
    assert!(
        matches!(
            error,
            StoreError::Refused {
                source: EngineError::Nul { position: 2 },
                ..
            }
        ),
        "{error:?}"
    );
    assert!(
        store
            .rows(query("SELECT $1", vec!["\0".into()]))
            .await
            .is_err()
    );
}

pub(super) async fn an_orphan_is_refused_and_undone(store: &Store) {
    let mut batch = insert("a", None);
    batch.add(INSERT_PART, vec!["p".into(), "nobody".into()]);
    let error = store.write(batch).await.unwrap_err();
    assert!(
        matches!(&error, StoreError::Refused { statement, .. } if statement == "part.insert"),
        "{error:?}"
    );
    assert_eq!(count(store).await, 0);
}

pub(super) async fn limits_are_errors(store: &Store) {
    let mut batch = Batch::new();
    for _ in 0..=MAX_STATEMENTS {
        batch.add(DELETE, vec!["a".into()]);
    }
    let too_many = |error: StoreError| {
        matches!(
            error,
            StoreError::Refused {
                source: EngineError::TooMany { .. },
                ..
            }
        )
    };
    assert!(too_many(store.write(batch).await.unwrap_err()));
    store.write(Batch::new()).await.unwrap();
    assert_eq!(store.read(vec![]).await.unwrap(), Vec::<Vec<Row>>::new());
    let endless = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n LIMIT 200000";
    assert!(too_many(
        store.rows(query(endless, vec![])).await.unwrap_err()
    ));
}

pub(super) async fn nothing_is_taken_after_close(store: &Store) {
    let store = Arc::new(store.clone());
    store.write(insert("a", None)).await.unwrap();
    store.close().await;
    let write = store.write(insert("b", None)).await;
    assert!(
        matches!(write, Err(StoreError::Unavailable { .. })),
        "{write:?}"
    );
    let read = store.rows(Query::of(LIST, vec![])).await;
    assert!(
        matches!(read, Err(StoreError::Unavailable { .. })),
        "{read:?}"
    );
    store.close().await;
}
