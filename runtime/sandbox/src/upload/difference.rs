//! Names the differences between two functions: the one that a component was built for, and the contract's.

use wit_parser::{
    Enum, Flags, Function, Handle, Record, Resolve, Type, TypeDefKind as Kind, TypeId, Variant,
};

/// Compares the contract's functions and types with a component's.
pub(super) struct Differ<'a> {
    pub(super) ours: &'a Resolve,
    pub(super) theirs: &'a Resolve,
}

impl Differ<'_> {
    /// How a component's function differs from the contract's; `None` if it does not differ.
    pub(super) fn function(&self, ours: &Function, theirs: &Function) -> Option<String> {
        let names = |function: &Function| {
            function.params.iter().map(|param| param.name.clone()).collect::<Vec<_>>().join(", ")
        };
        if names(ours) != names(theirs) {
            return Some(format!("takes ({}) instead of ({})", names(theirs), names(ours)));
        }
        let mut params = ours.params.iter().zip(&theirs.params);
        let in_params = params.find_map(|(ours, theirs)| {
            Some(format!("parameter `{}`: {}", ours.name, self.types(&ours.ty, &theirs.ty)?))
        });
        in_params.or_else(|| {
            let difference = self.optional(ours.result.as_ref(), theirs.result.as_ref())?;
            Some(format!("result: {difference}"))
        })
    }

    fn optional(&self, ours: Option<&Type>, theirs: Option<&Type>) -> Option<String> {
        match (ours, theirs) {
            (Some(ours), Some(theirs)) => self.types(ours, theirs),
            (None, None) => None,
            (Some(_), None) => Some("nothing instead of a value".to_owned()),
            (None, Some(_)) => Some("a value instead of nothing".to_owned()),
        }
    }

    fn types(&self, ours: &Type, theirs: &Type) -> Option<String> {
        let (ours, theirs) = (unaliased(self.ours, *ours), unaliased(self.theirs, *theirs));
        match (ours, theirs) {
            (Type::Id(ours), Type::Id(theirs)) => self.definitions(ours, theirs),
            _ if ours == theirs => None,
            _ => Some(instead(&describe(self.ours, ours), &describe(self.theirs, theirs))),
        }
    }

    fn definitions(&self, ours: TypeId, theirs: TypeId) -> Option<String> {
        let name = describe(self.ours, Type::Id(ours));
        match (&self.ours.types[ours].kind, &self.theirs.types[theirs].kind) {
            (Kind::Record(ours), Kind::Record(theirs)) => {
                let names = |record: &Record| record.fields.iter().map(|field| field.name.clone()).collect();
                other_names(&name, "field", names(ours), names(theirs)).or_else(|| {
                    ours.fields.iter().zip(&theirs.fields).find_map(|(ours, theirs)| {
                        Some(format!("field `{}`: {}", ours.name, self.types(&ours.ty, &theirs.ty)?))
                    })
                })
            }
            (Kind::Variant(ours), Kind::Variant(theirs)) => {
                let names = |variant: &Variant| variant.cases.iter().map(|case| case.name.clone()).collect();
                other_names(&name, "case", names(ours), names(theirs)).or_else(|| {
                    ours.cases.iter().zip(&theirs.cases).find_map(|(ours, theirs)| {
                        let difference = self.optional(ours.ty.as_ref(), theirs.ty.as_ref())?;
                        Some(format!("case `{}`: {difference}", ours.name))
                    })
                })
            }
            (Kind::Enum(ours), Kind::Enum(theirs)) => {
                let names = |cases: &Enum| cases.cases.iter().map(|case| case.name.clone()).collect();
                other_names(&name, "case", names(ours), names(theirs))
            }
            (Kind::Flags(ours), Kind::Flags(theirs)) => {
                let names = |flags: &Flags| flags.flags.iter().map(|flag| flag.name.clone()).collect();
                other_names(&name, "flag", names(ours), names(theirs))
            }
            (Kind::Tuple(ours), Kind::Tuple(theirs)) if ours.types.len() == theirs.types.len() => {
                ours.types.iter().zip(&theirs.types).find_map(|(ours, theirs)| self.types(ours, theirs))
            }
            (Kind::List(ours), Kind::List(theirs)) | (Kind::Option(ours), Kind::Option(theirs)) => {
                self.types(ours, theirs)
            }
            (Kind::Result(ours), Kind::Result(theirs)) => {
                let ok = self.optional(ours.ok.as_ref(), theirs.ok.as_ref());
                ok.or_else(|| self.optional(ours.err.as_ref(), theirs.err.as_ref()))
            }
            (Kind::Handle(ours), Kind::Handle(theirs)) => self.handles(ours, theirs),
            (Kind::Resource, Kind::Resource) => self.names(ours, theirs),
            _ => {
                Some(instead(&describe(self.ours, Type::Id(ours)), &describe(self.theirs, Type::Id(theirs))))
            }
        }
    }

    fn handles(&self, ours: &Handle, theirs: &Handle) -> Option<String> {
        match (ours, theirs) {
            (Handle::Own(ours), Handle::Own(theirs)) | (Handle::Borrow(ours), Handle::Borrow(theirs)) => {
                let resource = |resolve: &Resolve, id: TypeId| match unaliased(resolve, Type::Id(id)) {
                    Type::Id(id) => id,
                    _ => id,
                };
                self.names(resource(self.ours, *ours), resource(self.theirs, *theirs))
            }
            (Handle::Own(_), Handle::Borrow(_)) => {
                Some("a borrowed handle instead of an owned one".to_owned())
            }
            (Handle::Borrow(_), Handle::Own(_)) => {
                Some("an owned handle instead of a borrowed one".to_owned())
            }
        }
    }

    fn names(&self, ours: TypeId, theirs: TypeId) -> Option<String> {
        let (ours, theirs) = (&self.ours.types[ours].name, &self.theirs.types[theirs].name);
        let text = |name: &Option<String>| name.clone().unwrap_or_default();
        (ours != theirs).then(|| instead(&text(ours), &text(theirs)))
    }
}

fn unaliased(resolve: &Resolve, mut ty: Type) -> Type {
    while let Type::Id(id) = ty {
        let Kind::Type(target) = resolve.types[id].kind else { break };
        ty = target;
    }
    ty
}

fn describe(resolve: &Resolve, ty: Type) -> String {
    match ty {
        Type::Id(id) => {
            let definition = &resolve.types[id];
            let kind = definition.kind.as_str();
            definition.name.as_ref().map_or_else(|| kind.to_owned(), |name| format!("{kind} `{name}`"))
        }
        primitive => format!("{primitive:?}").to_lowercase(),
    }
}

/// The names that one list has and the other lacks.
fn other_names(of: &str, what: &str, ours: Vec<String>, theirs: Vec<String>) -> Option<String> {
    let lacking = ours.iter().find(|name| !theirs.contains(name));
    let besides = theirs.iter().find(|name| !ours.contains(name));
    match (lacking, besides) {
        (Some(name), _) => Some(format!("{of} lacks the {what} `{name}`")),
        (None, Some(name)) => Some(format!("{of} has the {what} `{name}` besides")),
        (None, None) if ours != theirs => Some(format!("{of} has its {what}s in another order")),
        (None, None) => None,
    }
}

fn instead(ours: &str, theirs: &str) -> String {
    format!("{theirs} instead of {ours}")
}
