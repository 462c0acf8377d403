//! Counts what makes a component expensive to compile, before it is compiled.
//!
//! Compilers take time and memory that grow faster than a function's size, its locals and the depth of its
//! loops. The bounds are two to eighty times the needs of the JavaScript and Python interpreters, the largest
//! programs that become components (measured in docs/decisions.md). A component that is within the bounds and
//! still expensive reaches the limits of the compilation itself.

mod instances;

use wasmparser::{BinaryReaderError, Data, Element, ElementItems, FunctionBody, Operator, Parser, Payload};

use crate::error::ComponentError;

/// The maximum number of functions of all modules together.
const FUNCTIONS_MAX: u64 = 100_000;
/// The maximum size of one function's code, in bytes.
const BODY_BYTES_MAX: u64 = 1 << 20;
/// The maximum number of local variables of one function, without its parameters.
const LOCALS_MAX: u64 = 20_000;
/// The maximum depth of nested blocks of any kind: a `switch` takes one block for each case.
const NESTING_MAX: u64 = 10_000;
/// The maximum depth of nested loops.
const LOOPS_MAX: u64 = 250;
/// The maximum number of entries of all modules' initial tables together.
const ELEMENTS_MAX: u64 = 500_000;
/// The maximum number of pieces of all modules' initial memories together.
const DATA_MAX: u64 = 100_000;

/// The maximum memory of all instances without their memories and tables, in bytes: no limit of a step counts
/// it.
const INSTANCES_BYTES_MAX: u64 = 4 << 20;

/// Counts everything in a component. The component must be valid.
pub(super) fn check(bytes: &[u8]) -> Result<(), ComponentError> {
    let malformed = |error: BinaryReaderError| ComponentError::Malformed {
        problem: format!("{} (at byte {})", error.message(), error.offset()),
    };
    let instances = instances::bytes(bytes).map_err(malformed)?;
    bound(instances, "bytes in the globals and functions of its instances", INSTANCES_BYTES_MAX)?;
    Counts::default().add_all(bytes).unwrap_or_else(|error| Err(malformed(error)))
}

/// The counts of all modules together.
#[derive(Default)]
struct Counts {
    functions: u64,
    elements: u64,
    data: u64,
}

/// The outer result says whether the component is valid so far, the inner one whether it is within the bounds
/// so far.
type Counted = Result<Result<(), ComponentError>, BinaryReaderError>;

impl Counts {
    fn add_all(&mut self, bytes: &[u8]) -> Counted {
        for payload in Parser::new(0).parse_all(bytes) {
            let counted = match payload? {
                Payload::CodeSectionEntry(body) => self.add_function(&body)?,
                Payload::ElementSection(elements) => {
                    for element in elements {
                        self.elements += length(&element?);
                    }
                    bound(self.elements, "table entries", ELEMENTS_MAX)
                }
                Payload::DataSection(data) => {
                    let pieces = data.into_iter().collect::<Result<Vec<Data<'_>>, _>>()?;
                    self.data += pieces.len() as u64;
                    bound(self.data, "data segments", DATA_MAX)
                }
                _ => Ok(()),
            };
            if counted.is_err() {
                return Ok(counted);
            }
        }
        Ok(Ok(()))
    }

    fn add_function(&mut self, body: &FunctionBody<'_>) -> Counted {
        self.functions += 1;
        let number = self.functions;
        let is_within = bound(number, "functions", FUNCTIONS_MAX).and_then(|()| {
            let bytes = body.range().len() as u64;
            bound(bytes, &format!("bytes of code in function {number}"), BODY_BYTES_MAX)
        });
        if is_within.is_err() {
            return Ok(is_within);
        }
        let mut locals = 0;
        for group in body.get_locals_reader()? {
            locals += u64::from(group?.0);
        }
        let (nested, loops) = depth(body)?;
        let places: [(u64, &str, u64); 3] = [
            (locals, "local variables", LOCALS_MAX),
            (nested, "nested blocks", NESTING_MAX),
            (loops, "nested loops", LOOPS_MAX),
        ];
        Ok(places
            .into_iter()
            .try_for_each(|(found, what, max)| bound(found, &format!("{what} in function {number}"), max)))
    }
}

fn length(element: &Element<'_>) -> u64 {
    u64::from(match &element.items {
        ElementItems::Functions(items) => items.count(),
        ElementItems::Expressions(_, items) => items.count(),
    })
}

/// The maximum depth of nested blocks of any kind in a function, and of nested loops.
fn depth(body: &FunctionBody<'_>) -> Result<(u64, u64), BinaryReaderError> {
    let (mut open, mut open_loops): (Vec<bool>, u64) = (Vec::new(), 0);
    let (mut deepest, mut deepest_loop) = (0, 0);
    for operator in body.get_operators_reader()? {
        match operator? {
            Operator::Loop { .. } => {
                open.push(true);
                open_loops += 1;
            }
            Operator::Block { .. } | Operator::If { .. } => open.push(false),
            // The last `end` closes the function itself.
            Operator::End => open_loops -= u64::from(open.pop().unwrap_or(false)),
            _ => continue,
        }
        deepest = deepest.max(open.len() as u64);
        deepest_loop = deepest_loop.max(open_loops);
    }
    Ok((deepest, deepest_loop))
}

fn bound(found: u64, what: &str, max: u64) -> Result<(), ComponentError> {
    match found > max {
        true => Err(ComponentError::TooComplex { what: format!("{found} {what}"), max }),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(module: &str, expected: &str) {
        let bytes = wat::parse_str(format!("(component (core module {module}))")).unwrap();
        super::super::form::validate(&bytes).unwrap();
        let found = super::check(&bytes).map_or_else(|error| error.to_string(), |()| "fine".to_owned());
        assert_eq!(found, expected, "{}", &module[..module.len().min(100)]);
    }

    #[test]
    fn counts_what_each_instance_takes_beside_its_memories() {
        let check = |component: String, expected: &str| {
            let bytes = wat::parse_str(&component).unwrap();
            super::super::form::validate(&bytes).unwrap();
            let found = super::check(&bytes).map_or_else(|error| error.to_string(), |()| "fine".to_owned());
            assert!(found.starts_with(expected), "{found}: {}", &component[..100]);
        };
        let module = format!("(core module $m {})", "(global (mut i64) (i64.const 0))".repeat(10_000));
        let instances = |count: usize| "(core instance (instantiate $m))".repeat(count);
        check(format!("(component {module} {})", instances(26)), "fine");
        let too_many = "it has 4320000 bytes in the globals and functions of its instances; at most 4194304";
        check(format!("(component {module} {})", instances(27)), too_many);
        // The same in components inside components, which multiply.
        let inner = |count: usize| format!("(component $c {module} {})", instances(count));
        let outer = |count: usize| "(instance (instantiate $c))".repeat(count);
        check(format!("(component {} {})", inner(13), outer(2)), "fine");
        check(format!("(component {} {})", inner(9), outer(3)), too_many);
        check(format!("(component {} {})", inner(27), outer(1)), too_many);
        // A module that is defined outside of the component that instantiates it.
        let within = format!(
            "(component {module} (component $c (alias outer 1 $m (core module $o)) {}) {})",
            "(core instance (instantiate $o))".repeat(27),
            outer(1)
        );
        check(within, too_many);
        let functions = format!("(core module $m (func $f) (table funcref (elem {})))", "$f ".repeat(1000));
        check(format!("(component {functions} {})", instances(100)), "fine");
    }

    fn nested(opening: &str, depth: u64) -> String {
        let depth = depth as usize;
        format!("(func) (func {} {})", opening.repeat(depth), "end ".repeat(depth))
    }

    #[test]
    fn counts_what_is_expensive_and_names_the_function() {
        check("(func (loop (block (loop))))", "fine");
        check(&nested("loop ", LOOPS_MAX), "fine");
        let loops = "it has 251 nested loops in function 2; at most 250 are taken";
        check(&nested("loop ", LOOPS_MAX + 1), loops);
        check(&nested("block ", NESTING_MAX), "fine");
        let blocks = "it has 10001 nested blocks in function 2; at most 10000 are taken";
        check(&nested("block ", NESTING_MAX + 1), blocks);
        check(&format!("(func {})", "(loop)".repeat(1000)), "fine");
        check(&format!("(func (local {}))", "i32 ".repeat(20_000)), "fine");
        check(
            &format!("(func (local {}))", "i32 ".repeat(20_001)),
            "it has 20001 local variables in function 1; at most 20000 are taken",
        );
        check(
            &format!("(func {})", "nop ".repeat(1 << 20)),
            "it has 1048578 bytes of code in function 1; at most 1048576 are taken",
        );
        check(&"(func)".repeat(100_001), "it has 100001 functions; at most 100000 are taken");
        check(
            &format!("(table 500001 funcref) (func $f) (elem (i32.const 0) {})", "$f ".repeat(500_001)),
            "it has 500001 table entries; at most 500000 are taken",
        );
    }
}
