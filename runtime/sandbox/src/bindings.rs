//! What the contract in `wit/` looks like from the runtime's side. Generated, so it cannot drift.

wasmtime::component::bindgen!({
    path: "../../wit",
    inline: "
        package stepbox:host;

        // One world with everything, for one set of types. A component is asked interface by interface.
        world every-step {
            include stepbox:step/item-reader@0.1.0;
            include stepbox:step/item-processor@0.1.0;
            include stepbox:step/item-writer@0.1.0;
            include stepbox:step/tasklet@0.1.0;
        }
    ",
    world: "stepbox:host/every-step",
    imports: {
        "stepbox:step/files": async,
        "stepbox:step/http": async,
    },
    exports: { default: async },
    ownership: Borrowing { duplicate_if_necessary: true },
});
