//! Random batches against a map: the same outcomes, the same rows, whatever shares a commit.

use std::collections::BTreeMap;

use proptest::collection::vec;
use proptest::prelude::*;

use crate::store::contract::{self, cases};
use crate::store::{Batch, Query, Sql, StoreError};

#[derive(Debug, Clone)]
enum Act {
    Insert(u8),
    Resize(u8, i64),
    Delete(u8),
}

#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    Done,
    Taken,
    Conflict(&'static str),
}

type World = BTreeMap<String, i64>;

const RESIZE: Sql = Sql {
    name: "test.resize",
    text: "UPDATE things SET size_gib = $2 WHERE id = $1 AND size_gib < $2",
};
const DELETE: Sql = Sql {
    name: "test.delete",
    text: "DELETE FROM things WHERE id = $1",
};

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        (0..6_u8).prop_map(Act::Insert),
        (0..6_u8, 0..5_i64).prop_map(|(id, size)| Act::Resize(id, size)),
        (0..6_u8).prop_map(Act::Delete),
    ]
}

fn batch(acts: &[Act]) -> Batch {
    let mut batch = Batch::new();
    for act in acts {
        match act {
            Act::Insert(id) => batch.extend(cases::insert(&id.to_string(), None)),
            Act::Resize(id, size) => {
                batch.guard("grows", RESIZE, vec![id.to_string().into(), (*size).into()])
            }
            Act::Delete(id) => batch.add(DELETE, vec![id.to_string().into()]),
        };
    }
    batch
}

/// What the acts do to the world, if they may.
fn expect(world: &mut World, acts: &[Act]) -> Outcome {
    let mut next = world.clone();
    for act in acts {
        match act {
            Act::Insert(id) => {
                if next.insert(id.to_string(), 1).is_some() {
                    return Outcome::Taken;
                }
            }
            Act::Resize(id, size) => match next.get_mut(&id.to_string()) {
                Some(has) if *has < *size => *has = *size,
                _ => return Outcome::Conflict("grows"),
            },
            Act::Delete(id) => {
                next.remove(&id.to_string());
            }
        }
    }
    *world = next;
    Outcome::Done
}

async fn check(rounds: Vec<Vec<Vec<Act>>>) {
    let fixture = contract::sqlite().await.unwrap();
    let store = &fixture.store;
    let mut world = World::new();
    for batches in rounds {
        // Polled in order, so queued in order; how many share a commit is the writer's affair.
        let writes = batches.iter().map(|acts| store.write(batch(acts)));
        let outcomes = futures_util::future::join_all(writes).await;
        for (acts, outcome) in batches.iter().zip(outcomes) {
            let outcome = match outcome {
                Ok(()) => Outcome::Done,
                Err(StoreError::Taken { .. }) => Outcome::Taken,
                Err(StoreError::Conflict { guard }) => Outcome::Conflict(guard),
                Err(other) => panic!("{other:?}"),
            };
            assert_eq!(outcome, expect(&mut world, acts), "{acts:?}");
        }
        let text = "SELECT id, size_gib FROM things ORDER BY id";
        let rows = store
            .rows(Query {
                text: text.into(),
                values: vec![],
            })
            .await
            .unwrap();
        let found: World = rows
            .iter()
            .map(|row| (row.text(0).unwrap().to_owned(), row.int(1).unwrap()))
            .collect();
        assert_eq!(found, world);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn random_batches_do_as_a_map_does(rounds in vec(vec(vec(act(), 1..4), 1..12), 1..5)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(check(rounds));
    }
}
