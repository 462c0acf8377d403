//! What a component says about itself.

use serde_json::Value;

/// What a component is and what it would like to have, shown to whoever installs it.
///
/// Nothing follows from a wish: the job's grants and the tenant's policy decide.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Description {
    /// The crate's name, with hyphens.
    pub name: String,
    /// The crate's version.
    pub version: String,
    /// The crate's description: one sentence.
    pub summary: String,
    /// A JSON Schema (2020-12); empty if any parameters will do.
    pub parameters: String,
    /// In the words of a connector file: `http: POST https://api.example.com`.
    pub grants: Vec<String>,
    /// The columns a processor or writer reads; none means all of them.
    pub columns_in: Option<Vec<String>>,
    /// The columns a reader or processor writes; none means it depends on the input.
    pub columns_out: Option<Vec<String>>,
    /// Whether each call depends on its own rows alone.
    pub stateless: bool,
}

impl Description {
    /// The JSON Schema that parameters must fit.
    #[must_use]
    pub fn parameters(self, schema: Value) -> Description {
        Description { parameters: schema.to_string(), ..self }
    }

    /// A grant that the step needs.
    #[must_use]
    pub fn needs(mut self, grant: &str) -> Description {
        self.grants.push(grant.to_owned());
        self
    }

    /// The columns that the step reads.
    ///
    /// A processor that says so gets only these, in this order, and all others pass it by untouched:
    /// less to carry there and back. What it returns replaces the item's columns of those names, or is
    /// added to them, so it removes none.
    #[must_use]
    pub fn reads(self, columns: &[&str]) -> Description {
        Description { columns_in: Some(owned(columns)), ..self }
    }

    /// The columns that the step writes.
    #[must_use]
    pub fn writes(self, columns: &[&str]) -> Description {
        Description { columns_out: Some(owned(columns)), ..self }
    }

    /// That each call depends on its own items alone, so that several instances may share the work.
    #[must_use]
    pub fn stateless(self) -> Description {
        Description { stateless: true, ..self }
    }
}

fn owned(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}
