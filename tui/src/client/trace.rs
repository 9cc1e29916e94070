//! `--debug`: each call as a line for curl that one may show to others.

use std::io::Write as _;

use reqwest::Url;
use serde_json::Value;

use super::{Ask, Client, Endpoint};
use crate::text::{harmless, shell_quoted};

impl Client {
    /// The call as a line for curl that says nothing secret.
    pub(super) fn trace(&self, ask: &Ask<'_>, url: &Url, version: &str) {
        let socket = match &self.endpoint {
            Endpoint::Unix(path) => format!(" --unix-socket {}", shell_quoted(path)),
            Endpoint::Http(_) => String::new(),
        };
        let mut line = format!(
            "curl -s -X {}{socket} {} -H 'OpenStack-API-Version: {version}'",
            ask.method.word(),
            shell_quoted(url.as_str())
        );
        if self.token.is_some() {
            line.push_str(" -H \"X-Auth-Token: $ASHLAR_TOKEN\"");
        }
        if let Some(if_match) = ask.if_match {
            line.push_str(&format!(
                " -H {}",
                shell_quoted(&format!("If-Match: {if_match}"))
            ));
        }
        if let Some(body) = ask.body {
            let body = shell_quoted(&redacted(body).to_string());
            line.push_str(&format!(" -H 'Content-Type: application/json' -d {body}"));
        }
        let _ = writeln!(std::io::stderr(), "{}", harmless(&line));
    }
}

/// Keys whose values no log may hold.
const SECRET_KEYS: &[&str] = &[
    "auth_key",
    "auth_password",
    "mutual_auth_password",
    "password",
    "secret",
    "token",
];

/// The same without what is secret.
pub(super) fn redacted(body: &Value) -> Value {
    match body {
        Value::Object(map) => map
            .iter()
            .map(|(key, value)| {
                let is_secret = SECRET_KEYS.contains(&key.as_str()) && value.is_string();
                let value = if is_secret {
                    Value::from("(hidden)")
                } else {
                    redacted(value)
                };
                (key.clone(), value)
            })
            .collect(),
        Value::Array(items) => items.iter().map(redacted).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => body.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_secret_is_not_told() {
        let body = json!({"accept": {"auth_key": "k3y"}, "list": [{"password": "p", "name": "n"}],
            "info": {"auth_password": "one", "mutual_auth_password": "other"}});
        let told = redacted(&body).to_string();
        for secret in ["k3y", "\"p\"", "one", "other"] {
            assert!(!told.contains(secret), "{told}");
        }
        assert!(told.contains("\"n\""), "{told}");
    }
}
