//! Which pool; pure. TEMPORARY until the scheduler lands.
use crate::model::pool::Pool;
use crate::model::size::Gib;
use std::collections::BTreeMap;
pub struct Request;
impl Request {
    pub fn create(
        _: Gib,
        _: Option<String>,
        _: BTreeMap<String, String>,
        _: Option<String>,
    ) -> Self {
        Self
    }
    pub fn extend(_: Gib, _: BTreeMap<String, String>, _: String) -> Self {
        Self
    }
}
pub struct Explanation;
impl Explanation {
    pub fn to_json(&self) -> serde_json::Value {
        serde_json::Value::Null
    }
    pub fn reason(&self) -> String {
        String::new()
    }
}
pub struct Placement {
    pub winner: Option<String>,
    pub explanation: Explanation,
}
pub fn place(_: &Request, pools: &[Pool]) -> Placement {
    Placement {
        winner: pools.first().map(|p| p.address.clone()),
        explanation: Explanation,
    }
}
