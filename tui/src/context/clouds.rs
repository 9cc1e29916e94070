//! OpenStack's own ways to say where and as whom: `clouds.yaml` and the `OS_*` of the environment.
//!
//! Of the ways to log in, those that need no Keystone are spoken: none, noauth, admin_token. Others are refused.

use std::path::PathBuf;

use yaml_rust2::{Yaml, YamlLoader};

use super::{Context, config_home, read, unusable};
use crate::client::Token;
use crate::failure::{Exit, Failure};
use crate::settings::environment;

/// Ways to log in, as OpenStack's clients call them, that need no Keystone.
const WITHOUT_KEYSTONE: &[&str] = &["none", "noauth", "admin_token", "token_endpoint"];

/// A cloud of `clouds.yaml`.
pub(super) fn cloud(name: &str) -> Result<Context, Failure> {
    let what = format!("using the cloud {name}");
    let Some((path, text)) = file()? else {
        return Err(Failure::new(Exit::Usage, &what, "there is no clouds.yaml")
            .hint("it is looked for here, in ~/.config/openstack and in /etc/openstack"));
    };
    parse(&text, name, &path)
}

fn file() -> Result<Option<(String, String)>, Failure> {
    let named = environment("OS_CLIENT_CONFIG_FILE").map(PathBuf::from);
    let paths = [
        named,
        Some(PathBuf::from("clouds.yaml")),
        config_home().map(|home| home.join("openstack/clouds.yaml")),
        Some(PathBuf::from("/etc/openstack/clouds.yaml")),
    ];
    for path in paths.into_iter().flatten() {
        if let Some(text) = read(&path)? {
            return Ok(Some((path.display().to_string(), text)));
        }
    }
    Ok(None)
}

fn parse(text: &str, name: &str, path: &str) -> Result<Context, Failure> {
    let documents =
        YamlLoader::load_from_str(text).map_err(|error| unusable(path, &error.to_string()))?;
    let clouds = documents.first().map(|document| &document["clouds"]);
    let cloud = clouds.map(|clouds| &clouds[name]);
    let Some(cloud) = cloud.filter(|cloud| !cloud.is_badvalue()) else {
        return Err(unusable(path, &format!("it has no cloud {name}")));
    };
    let word = |value: &Yaml| value.as_str().map(str::to_owned);
    let auth = &cloud["auth"];
    let endpoint = word(&cloud["block_storage_endpoint_override"])
        .or_else(|| word(&cloud["volume_endpoint_override"]))
        .or_else(|| word(&auth["endpoint"]));
    let said = Said {
        auth_type: word(&cloud["auth_type"]),
        endpoint,
        token: word(&auth["token"]),
        project: word(&auth["project_id"]),
        source: format!("{path}, cloud {name}"),
    };
    let context = said.context()?;
    Ok(Context {
        name: Some(name.to_owned()),
        ..context
    })
}

/// What the environment says, if it says anything of where.
pub(super) fn from_environment() -> Result<Option<Context>, Failure> {
    let endpoint = environment("OS_BLOCK_STORAGE_ENDPOINT_OVERRIDE")
        .or_else(|| environment("OS_VOLUME_ENDPOINT_OVERRIDE"))
        .or_else(|| environment("OS_ENDPOINT"));
    let said = Said {
        auth_type: environment("OS_AUTH_TYPE"),
        endpoint,
        token: environment("OS_TOKEN"),
        project: environment("OS_PROJECT_ID"),
        source: "OS_* of the environment".to_owned(),
    };
    if said.endpoint.is_none() && environment("OS_AUTH_URL").is_none() {
        return Ok(None);
    }
    said.context().map(Some)
}

struct Said {
    auth_type: Option<String>,
    endpoint: Option<String>,
    token: Option<String>,
    project: Option<String>,
    source: String,
}

impl Said {
    fn context(self) -> Result<Context, Failure> {
        let way = self.auth_type.as_deref().unwrap_or("password");
        if !WITHOUT_KEYSTONE.contains(&way) {
            let why = format!("logging in by `{way}` needs Keystone, which is not spoken here");
            return Err(unusable(&self.source, &why).hint(
                "use auth_type none or admin_token with an endpoint, or a token of Ashlar's own with ASHLAR_ENDPOINT",
            ));
        }
        let Some(endpoint) = self.endpoint else {
            return Err(unusable(
                &self.source,
                "it names no endpoint of the block storage",
            ));
        };
        // Some write the version and the project behind it.
        let base = endpoint.split("/v3").next().unwrap_or_default().to_owned();
        Ok(Context {
            endpoint: Some(base),
            project: self.project,
            token: self.token.map(Token::new),
            source: self.source,
            ..Context::default()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLOUDS: &str = "clouds:\n  lab:\n    auth_type: admin_token\n    auth:\n      \
        endpoint: http://h:8776/v3/%(project_id)s\n      token: s3cret\n      project_id: p\n  \
        big:\n    auth: {auth_url: 'https://k/v3', username: u, password: pw}\n  \
        half:\n    auth_type: none\n";

    #[test]
    fn a_cloud_without_keystone_is_used() {
        let context = parse(CLOUDS, "lab", "f").unwrap();
        assert_eq!(context.endpoint.as_deref(), Some("http://h:8776"));
        assert_eq!(context.project.as_deref(), Some("p"));
        assert!(context.token.is_some());
        assert!(!format!("{context:?}").contains("s3cret"));
    }

    #[test]
    fn what_cannot_be_used_is_refused_in_words() {
        for (name, why) in [
            ("big", "Keystone"),
            ("half", "no endpoint"),
            ("nosuch", "no cloud"),
        ] {
            let failure = parse(CLOUDS, name, "f").unwrap_err();
            assert_eq!(failure.exit, Exit::Usage);
            assert!(failure.to_string().contains(why), "{failure}");
        }
        assert!(parse("a: [", "x", "f").is_err());
    }
}
