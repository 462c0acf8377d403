//! `stepbox files`: inputs of jobs that users upload. `stepbox queue`: how many executions wait.

use stepbox::batch::visible::Visible;
use stepbox_api::file::UploadedFile;
use stepbox_api::tenant::QueueDepths;

use crate::args::files::{Files, Queue};
use crate::error::CliError;
use crate::output::list;
use crate::output::table::{Column, Table, pairs};
use crate::output::words::{bytes, number};
use crate::output::{Answer, talk};
use crate::site::Site;

pub(crate) async fn carry_out(site: &Site, verb: Files) -> Result<Answer, CliError> {
    match verb {
        Files::List(format) => {
            let files = site.files().await?;
            if files.is_empty() {
                talk("there are no uploaded files; `stepbox files upload` brings one");
            }
            Ok(list::answer(format.format, &files, table))
        }
        Files::Upload { file, name, format } => {
            let own = || file.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let uploaded = site.upload_input(&file, &name.unwrap_or_else(own)).await?;
            talk(format!("uploaded `{}` ({})", uploaded.name, bytes(uploaded.size_bytes)));
            Ok(Answer::new(format.format, || Visible::line(&uploaded.id), || &uploaded))
        }
        Files::Remove { id } => {
            site.remove_file(&id).await?;
            talk(format!("removed the file `{id}`"));
            Ok(Answer::nothing())
        }
    }
}

fn table(files: &[&UploadedFile]) -> Table {
    let columns = [
        Column::Left("id"),
        Column::Left("name"),
        Column::Right("size"),
        Column::Left("by"),
        Column::Left("uploaded"),
        Column::Left("expires"),
    ];
    Table::of(columns, files, |file| {
        [
            file.id.clone(),
            file.name.clone(),
            bytes(file.size_bytes),
            file.user.clone().unwrap_or_else(|| "-".to_owned()),
            file.created_at.clone(),
            file.expires_at.clone(),
        ]
    })
}

pub(crate) async fn queue(site: &Site, verb: Queue) -> Result<Answer, CliError> {
    let Queue::Show(format) = verb;
    let depths = site.queue_depths().await?;
    let QueueDepths { waiting, delayed, claimed } = depths;
    let text = || {
        pairs([
            ("waiting", number(waiting)),
            ("waiting for their time", number(delayed)),
            ("at a worker", number(claimed)),
        ])
    };
    Ok(Answer::new(format.format, text, || &depths))
}
