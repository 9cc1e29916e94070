//! Named bodies (`_shapes.json`): `{"<shape>": "volume 3.67", "name": "v"}` is that shape with another name. A shape
//! may begin with another one; `"<left out>"` takes a field away.

use anyhow::Context as _;
use serde_json::{Map, Value};

use super::example::{directory, read_file};
use crate::Result;

/// The key that names a shape.
const KEY: &str = "<shape>";
/// The value that takes a field away.
const LEFT_OUT: &str = "<left out>";

/// Every named body.
#[derive(Debug)]
pub struct Shapes(Map<String, Value>);

impl Shapes {
    /// Reads their file.
    pub fn read() -> Result<Self> {
        let file = read_file(&directory().join("_shapes.json"))?;
        Ok(Self(
            file.as_object()
                .context("_shapes.json is no object")?
                .clone(),
        ))
    }

    /// A value with every shape in it filled in.
    pub fn fill(&self, value: &Value) -> Result<Value> {
        match value {
            Value::Array(all) => all.iter().map(|one| self.fill(one)).collect(),
            Value::Object(map) => self.fill_object(map),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Ok(value.clone()),
        }
    }

    fn fill_object(&self, map: &Map<String, Value>) -> Result<Value> {
        let mut filled = match map.get(KEY) {
            None => Map::new(),
            Some(name) => {
                let name = name.as_str().context("a shape's name is no text")?;
                let shape = self
                    .0
                    .get(name)
                    .with_context(|| format!("no shape {name:?}"))?;
                let whole = self.fill(shape)?;
                whole
                    .as_object()
                    .with_context(|| format!("shape {name:?} is no object"))?
                    .clone()
            }
        };
        for (key, value) in map.iter().filter(|(key, _)| *key != KEY) {
            if value == LEFT_OUT {
                filled.remove(key);
            } else {
                filled.insert(key.clone(), self.fill(value)?);
            }
        }
        Ok(Value::Object(filled))
    }
}
