//! `cargo xtask tidy`: checks that the compiler does not make. Prints all findings before it fails.

mod circles;
mod codes;
mod layout;
mod map;
mod promises;
mod sources;
mod wording;

use anyhow::bail;

#[derive(Default, clap::Args)]
pub(crate) struct Arguments {
    /// Run clippy as well, on everything; it compiles everything first
    #[arg(long)]
    clippy: bool,

    /// Only list the error codes of the sources, and the files that give them out
    #[arg(long)]
    list_codes: bool,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let sources = sources::read()?;
    if arguments.list_codes {
        for (code, places) in codes::given_out(&sources) {
            println!("{code}  ({})", places.into_iter().collect::<Vec<_>>().join(", "));
        }
        return Ok(());
    }
    let mut findings = map::check()?;
    findings.extend(circles::check(&sources)?);
    findings.extend(codes::check(&sources)?);
    findings.extend(promises::check(&sources)?);
    findings.extend(sources::check(&sources));
    findings.extend(wording::check(&sources));
    findings.extend(layout::check()?);
    for finding in &findings {
        println!("{finding}");
    }
    if arguments.clippy {
        layout::clippy()?;
    }
    match findings.len() {
        0 => println!("tidy: {} source files, nothing to mend", sources.len()),
        1 => bail!("tidy: 1 thing to mend"),
        number => bail!("tidy: {number} things to mend"),
    }
    Ok(())
}
