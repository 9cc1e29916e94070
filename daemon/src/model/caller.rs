//! Who asks: a project, a user and a role; settled once at the door and handed to every operation.

/// What a caller may do, weakest first so that roles compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// May read the objects of the own project.
    Reader,
    /// May also change them.
    Member,
    /// May read and change everything, and use the administrator's calls.
    Admin,
}

impl Role {
    /// The spelling in configuration, tokens and on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Role::Reader => "reader",
            Role::Member => "member",
            Role::Admin => "admin",
        }
    }

    /// `None` for any other word.
    pub fn parse(word: &str) -> Option<Self> {
        [Role::Reader, Role::Member, Role::Admin]
            .into_iter()
            .find(|role| role.as_str() == word)
    }
}

/// The authenticated origin of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The project whose objects are seen and made.
    pub project_id: String,
    /// Who it is, for the record; not a secret.
    pub user_id: String,
    /// What the caller may do.
    pub role: Role,
    /// The request's id (`req-<uuid>`), which the operation and every log line about it carry.
    pub request_id: String,
}

impl Caller {
    /// Whether objects of `project_id` exist for this caller; those of others answer 404.
    pub fn sees(&self, project_id: &str) -> bool {
        self.role == Role::Admin || self.project_id == project_id
    }
}
