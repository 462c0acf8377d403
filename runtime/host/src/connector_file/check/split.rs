//! The steps in the order of the file. The steps of a split are in the same flat list, each with its branch.

use std::collections::HashSet;

use stepbox_batch::job::Branch;
use stepbox_batch::name::{JobName, StepName};
use stepbox_batch::parameters::ParameterSchema;

use super::super::{Mistake, Mistakes, shape};
use super::{CheckedStep, Scope, flow, named};

/// The steps of a job.
pub(super) fn steps(
    scope: &Scope<'_>,
    job: &JobName,
    shapes: Vec<shape::Step>,
    schema: &ParameterSchema,
) -> Result<Vec<CheckedStep>, Mistakes> {
    let mut steps = Steps { scope, job, schema, names: HashSet::new(), checked: Vec::new() };
    let each = shapes.into_iter().enumerate().map(|(index, shape)| {
        let pointer = format!("{}/steps/{index}", scope.pointer);
        if shape.split.is_some() || shape.branches.is_some() {
            steps.split(&pointer, shape)
        } else {
            steps.step(&pointer, shape, None)
        }
    });
    Mistakes::none_in(each)?;
    Ok(steps.checked)
}

struct Steps<'a> {
    scope: &'a Scope<'a>,
    job: &'a JobName,
    schema: &'a ParameterSchema,
    /// The names of steps and of splits.
    names: HashSet<StepName>,
    checked: Vec<CheckedStep>,
}

impl Steps<'_> {
    fn step(
        &mut self,
        pointer: &str,
        mut shape: shape::Step,
        branch: Option<Branch>,
    ) -> Result<(), Mistakes> {
        let Some(name) = shape.name.take() else {
            let mistake = Mistake::new("step-incomplete", pointer, "a step has no `name`");
            return Err(mistake.help("give each step of a job its own name").into());
        };
        let name = self.name(&format!("{pointer}/name"), name)?;
        self.checked.push(self.scope.step(pointer, name, branch, shape, self.schema)?);
        Ok(())
    }

    fn split(&mut self, pointer: &str, shape: shape::Step) -> Result<(), Mistakes> {
        if let Some(key) = shape.step_keys().next() {
            let message = format!("a split has no `{key}`");
            let help = format!("a split is a name and `branches`; `{key}` belongs to a step of a branch");
            return Err(Mistake::new("bad-split", format!("{pointer}/{key}"), message).help(help).into());
        }
        let (Some(split), Some(branches)) = (shape.split, shape.branches) else {
            let message = "a split has both `split`, its name, and `branches`";
            let help = "write `split: both`, and below it `branches` with a list of steps for each";
            return Err(Mistake::new("bad-split", pointer, message).help(help).into());
        };
        let split = self.name(&format!("{pointer}/split"), split)?;
        if branches.len() < 2 {
            let message = format!("the split `{split}` has fewer than two branches");
            let mistake = Mistake::new("bad-split", format!("{pointer}/branches"), message);
            let help = "give it a branch for each list of steps that runs beside the others";
            return Err(mistake.help(help).into());
        }
        let branches = (0..).zip(branches).map(|(number, steps)| {
            let branch = Branch { split: split.clone(), number };
            self.branch(&format!("{pointer}/branches/{number}"), &branch, steps)
        });
        Mistakes::none_in(branches).map(drop)
    }

    fn branch(&mut self, pointer: &str, branch: &Branch, shapes: Vec<shape::Step>) -> Result<(), Mistakes> {
        if shapes.is_empty() {
            let message = format!("a branch of the split `{}` has no steps", branch.split);
            return Err(Mistake::new("bad-split", pointer, message).help("give it at least one step").into());
        }
        let steps = shapes.into_iter().enumerate().map(|(index, shape)| {
            let pointer = format!("{pointer}/{index}");
            if shape.split.is_some() || shape.branches.is_some() {
                let message = format!("a split stands inside the split `{}`", branch.split);
                let help = "splits do not nest: give the outer one more branches, or put one below the other";
                return Err(Mistake::new("bad-split", pointer, message).help(help).into());
            }
            self.step(&pointer, shape, Some(branch.clone()))
        });
        Mistakes::none_in(steps).map(drop)
    }

    /// A name that no other step or split of the job has.
    fn name(&mut self, pointer: &str, text: String) -> Result<StepName, Mistake> {
        let name = named(pointer, StepName::new(text))?;
        if flow::RESERVED.contains(&name.as_str()) {
            let message = format!("`{name}` says where a job goes on, and names no step");
            return Err(Mistake::new("bad-name", pointer, message).help("give it another name"));
        }
        if !self.names.insert(name.clone()) {
            let message = format!("the job `{}` has two steps called `{name}`", self.job);
            return Err(Mistake::new("step-name-taken", pointer, message)
                .help("give each step of a job its own name"));
        }
        Ok(name)
    }
}
