//! The types and functions of `wit/0.1`. They are generated from these files, so both always agree.

wasmtime::component::bindgen!({
    path: "../../wit/0.1",
    // One world with everything gives one set of types. Components are checked interface by interface.
    inline: "
        package stepbox:host;

        world every-step {
            include stepbox:step/partitioned-item-reader@0.1.0;
            include stepbox:step/item-processor@0.1.0;
            include stepbox:step/item-writer@0.1.0;
            include stepbox:step/tasklet@0.1.0;
            export stepbox:step/form@0.1.0;
        }
    ",
    world: "stepbox:host/every-step",
    // Functions that wait are async. The others are plain calls, which take a tenth of a microsecond.
    imports: {
        "stepbox:step/execution.save": async,
        "stepbox:step/files": async | trappable,
        "stepbox:step/http": async | trappable,
    },
    exports: { default: async },
    trappable_error_type: {
        "stepbox:step/files.file-error" => crate::v0_1::imports::files::failure::FileFailure,
        "stepbox:step/http.http-error" => crate::v0_1::imports::http::failure::HttpFailure,
    },
    with: {
        "stepbox:step/files.reader": crate::v0_1::imports::files::open_file::FileReader,
        "stepbox:step/files.writer": crate::v0_1::imports::files::open_file::FileWriter,
        "stepbox:step/http.exchange": crate::v0_1::imports::http::exchange::Exchange,
        "stepbox:step/http.response": crate::v0_1::imports::http::answer::Answer,
    },
    // Batches are passed as borrowed slices: the only copy is the one into the component's memory.
    ownership: Borrowing { duplicate_if_necessary: true },
});
