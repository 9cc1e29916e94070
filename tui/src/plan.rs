//! What an act would do, as the server says beforehand (`POST /ashlar/v1/plan`): what it blocks, loses, breaks, keeps.
//!
//! A plain Cinder has no such path; then there is no plan, and the verb's own level and words decide.

use serde_json::{Value, json};

use crate::Session;
use crate::client::text;
use crate::failure::{Exit, Failure};
use crate::table::Level;
use crate::text::harmless;

/// What an act would do to one object.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Plan {
    /// What the act sends along, so that it is done only if this is still so.
    pub(crate) if_match: Option<String>,
    /// Whether the act would be refused.
    pub(crate) is_blocked: bool,
    /// What it asks for.
    pub(crate) level: Level,
    /// The object's part, as the server gave it.
    pub(crate) object: Value,
}

/// What a plan is asked about.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct About {
    /// The object; none where the act makes one.
    pub(crate) object_id: Option<String>,
    /// What the act's request says beside it: what stands under the action's key, or the flags of a delete.
    pub(crate) input: Value,
}

impl About {
    /// An action on an object: its body is the action's name and what it says.
    pub(crate) fn action(id: &str, body: &Value) -> Self {
        let said = body.as_object().and_then(|body| body.values().next());
        Self {
            object_id: Some(id.to_owned()),
            input: said
                .filter(|said| said.is_object())
                .cloned()
                .unwrap_or_else(|| json!({})),
        }
    }
}

/// The plan of `act` on the object, or nothing where the server cannot say.
pub(crate) fn of(session: &Session, act: &str, about: &About) -> Result<Option<Plan>, Failure> {
    let objects: Vec<&str> = about.object_id.iter().map(String::as_str).collect();
    let body = json!({"verb": act, "objects": objects, "input": about.input});
    match session.client.reckon("/plan", &body) {
        Ok(answer) => Ok(answer.get("plan").map(read)),
        // A plain Cinder, an older daemon, or an act that it has no plan for.
        Err(failure) if matches!(failure.exit, Exit::NotFound | Exit::Failed) => Ok(None),
        Err(failure) => Err(failure),
    }
}

fn read(plan: &Value) -> Plan {
    let object = plan["objects"][0].clone();
    let level = match text(&object, "level").as_str() {
        "type_name" => Level::TypeName,
        "confirm" => Level::Confirm,
        _ => Level::Form,
    };
    let hash = text(plan, "hash");
    let blocks = object["blocks"]
        .as_array()
        .is_some_and(|all| !all.is_empty());
    Plan {
        if_match: (!hash.is_empty()).then(|| format!("\"plan-{hash}\"")),
        is_blocked: blocks || plan["is_blocked"].as_bool().unwrap_or(false),
        level,
        object,
    }
}

/// The plan as JSON for a dry run, with what its act would have to carry.
pub(crate) fn item(plan: &Plan) -> Value {
    let mut item = plan.object.clone();
    if let Some(map) = item.as_object_mut() {
        map.insert("is_blocked".to_owned(), Value::from(plan.is_blocked));
        let if_match = plan.if_match.as_deref().map(|tag| tag.trim_matches('"'));
        map.insert("if_match".to_owned(), Value::from(if_match));
    }
    item
}

/// The plan as lines for a person.
pub(crate) fn lines(name: &str, plan: &Plan) -> String {
    let mut lines = format!("  {}\n", harmless(name));
    for (word, key) in [
        ("BLOCKS", "blocks"),
        ("LOST", "lost"),
        ("BREAKS", "breaks"),
        ("KEPT", "keeps"),
    ] {
        let texts = plan.object[key].as_array().into_iter().flatten();
        for text in texts.filter_map(Value::as_str) {
            lines.push_str(&format!("    {word:7} {}\n", harmless(text)));
        }
    }
    if let Some(bytes) = plan.object["frees_bytes"]
        .as_u64()
        .filter(|bytes| *bytes > 0)
    {
        lines.push_str(&format!("    frees   {}\n", crate::size::in_words(bytes)));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_is_read_with_its_level_its_blocks_and_its_hash() {
        let plan = read(&json!({"hash": "abc", "is_blocked": true, "objects": [{
            "id": "1", "blocks": ["it has a snapshot"], "lost": ["4 GiB"], "breaks": [], "keeps": [],
            "frees_bytes": 2_147_483_648_u64, "level": "type_name"}]}));
        assert_eq!(plan.if_match.as_deref(), Some("\"plan-abc\""));
        assert!(plan.is_blocked && plan.level == Level::TypeName);
        assert_eq!(
            lines("db\u{1b}[m", &plan),
            "  db[m\n    BLOCKS  it has a snapshot\n    LOST    4 GiB\n    frees   2 GiB\n"
        );
        assert_eq!(item(&plan)["if_match"], "plan-abc");
    }
}
