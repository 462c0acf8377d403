//! A component's description of itself.

use serde_json::Value;

/// What a component is and which grants it asks for. People see it when they install the component.
///
/// Asking gives the component nothing: the job's grants and the tenant's policy decide.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Description {
    /// The crate's name, with hyphens.
    pub name: String,
    /// The crate's version.
    pub version: String,
    /// The crate's description: one sentence.
    pub summary: String,
    /// A JSON Schema (2020-12) for the parameters; empty if any parameters are valid.
    pub parameters: String,
    /// The grants that it needs, as a connector file writes them: `http: POST https://api.example.com`.
    pub grants: Vec<String>,
    /// The columns that a processor or writer reads; `None` means all of them.
    pub columns_in: Option<Vec<String>>,
    /// The columns that a reader or processor writes; `None` means that they depend on the input.
    pub columns_out: Option<Vec<String>>,
    /// Whether each call depends on its own rows alone.
    pub stateless: bool,
}

impl Description {
    /// Sets the JSON Schema that parameters must fit.
    #[must_use]
    pub fn parameters(self, schema: Value) -> Description {
        Description { parameters: schema.to_string(), ..self }
    }

    /// Adds a grant that the step needs.
    #[must_use]
    pub fn needs(mut self, grant: &str) -> Description {
        self.grants.push(grant.to_owned());
        self
    }

    /// Names the columns that the step reads.
    ///
    /// A processor that names them gets only these columns, in this order. All other columns stay with the
    /// item unchanged and need not be copied. The returned columns replace the item's columns of the same
    /// names, or are added to them. So the processor removes no columns.
    #[must_use]
    pub fn reads(self, columns: &[&str]) -> Description {
        Description { columns_in: Some(owned(columns)), ..self }
    }

    /// Names the columns that the step writes.
    #[must_use]
    pub fn writes(self, columns: &[&str]) -> Description {
        Description { columns_out: Some(owned(columns)), ..self }
    }

    /// Declares that each call depends on its own items alone, so that several instances may share the work.
    #[must_use]
    pub fn stateless(self) -> Description {
        Description { stateless: true, ..self }
    }
}

fn owned(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}
