"""Transforms of functions of arrays: gradients, vectorisation, compilation. Their modules load on first use."""

#: public name -> the module that defines it
EXPORTS = {
    "grad": "npx.transforms.grad",
    "value_and_grad": "npx.transforms.grad",
    "vjp": "npx.transforms.grad",
    "jvp": "npx.transforms.forward",
    "linearize": "npx.transforms.forward",
    "jacfwd": "npx.transforms.jacobian",
    "jacrev": "npx.transforms.jacobian",
    "hessian": "npx.transforms.jacobian",
    "hvp": "npx.transforms.jacobian",
    "linear_transpose": "npx.transforms.linear",
    "vmap": "npx.transforms.vmap",
    "jit": "npx.transforms.jit",
    **dict.fromkeys(("psum", "pmean", "pmax", "pmin", "all_gather", "axis_index"), "npx.transforms.collectives"),
    "custom_vjp": "npx.transforms.custom",
    "custom_jvp": "npx.transforms.custom",
    "custom_vmap": "npx.transforms.custom_vmap",
    "stop_gradient": "npx.transforms.custom",
    "checkpoint": "npx.transforms.checkpoint",
    "checkpoint_loop": "npx.transforms.checkpoint",
    "debug_gradients": "npx.transforms.debugging",
}
