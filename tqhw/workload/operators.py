"""The reviewed list of operators: what each of PyTorch's computes when two arrays meet in it.

Names are those of ``torch.ops`` without the overload; an in-place form goes by the name of the plain one. An operator
is in one of three tables:

* :data:`tqhw.workload.products.RULES`: it multiplies and accumulates, and the rule counts it;
* :data:`REFUSED`: it multiplies and accumulates, and no problem is made of it;
* :data:`NO_PRODUCT`: it moves, compares, normalizes or combines elements, each output from a fixed number of inputs.

An operator in none of them is refused as soon as an activation meets an array or a packed weight in it: what it
computes is not known. ``tests/workload/test_operators.py`` goes through all that the installed PyTorch registers.
"""

from __future__ import annotations

from fnmatch import fnmatchcase
from functools import cache

_REFUSED = {
    "bilinear form": "aten._trilinear",
    "fused attention": """
        aten._scaled_dot_product_* aten._flash_attention_* aten._efficient_attention_* aten._cudnn_attention_*
        aten._native_multi_head_attention aten._triton_multi_head_attention aten._triton_scaled_dot_attention""",
    "fused encoder layer": "aten._transformer_encoder_layer_fwd",
    "recurrent layer of a device": """
        aten._cudnn_rnn aten._cudnn_rnn_backward aten._lstm_mps aten.lstm_mps_backward aten.miopen_rnn
        aten.miopen_rnn_backward aten.mkldnn_rnn_layer_backward""",
    "quantized recurrent layer": """
        aten.quantized_lstm aten.quantized_gru aten.quantized_*_cell quantized.quantized_*_cell_dynamic""",
    "convolution of a device": """
        aten._conv_depthwise2d aten.conv_depthwise3d aten._nnpack_spatial_convolution aten._slow_conv2d_*
        aten.slow_conv3d_forward aten.slow_conv_* aten._mps_convolution* aten.mps_convolution_*
        aten.miopen_*convolution* aten.cudnn_convolution*""",
    "gradient of a product": """
        aten.convolution_backward* aten.linear_backward aten.matmul_backward aten.mkldnn_linear_backward*""",
    "sparse product": """
        aten._sparse_mm aten._sparse_addmm aten._sparse_sparse_matmul aten._sparse_mm_reduce_impl* aten.hspmm
        aten.sspaddmm aten.sparse_sampled_addmm aten._cslt_sparse_mm* aten._sparse_semi_structured_* aten._spsolve
        sparse.qlinear*""",
    "linear solve": """
        aten.cholesky_solve aten._cholesky_solve_helper aten._linalg_solve_ex aten.linalg_*_solve aten.linalg_lstsq
        aten.linalg_householder_product aten.ormqr aten.linalg_pinv""",
    "several products at once": "aten._foreach_mm inductor._mm_plus_mm aten._compute_linear_combination",
}
REFUSED: dict[str, str] = {name: what for what, names in _REFUSED.items() for name in names.split()}
"""Operators, or patterns of them, that multiply and accumulate and that no problem is made of: what they are."""

_NO_PRODUCT = {
    "element by element": """
        add sub rsub mul div floor_divide fmod remainder pow maximum minimum fmax fmin clamp clamp_max clamp_min where
        addcmul addcdiv lerp atan2 hypot copysign heaviside ldexp nextafter logaddexp logaddexp2 xlogy gcd lcm igamma
        igammac special_* eq ne lt le gt ge equal logical_* bitwise_* __*shift__ polar complex masked_fill fill
        isin allclose is_same_size is_set_to glu_jvp _prelu_kernel rrelu_with_noise* _add_relu _masked_scale
        _masked_softmax linalg_cross _thnn_fused_*_cell _transform_bias_rescale_qkv binomial *_like""",
    "moved, cut, joined": """
        cat _chunk_cat stack _stack copy _copy_from* copy_sparse_to_sparse block_diag *_scatter slice_inverse set
        resize_as resize_as_sparse index _unsafe_index _unsafe_masked_index gather take index_select masked_select
        index_put _index_put_impl _unsafe_index_put _unsafe_masked_index_put_accumulate index_add index_copy index_fill
        index_reduce scatter* masked_scatter put _spdiags bucketize searchsorted _make_dual* _pack_padded_sequence
        _nested_* _jagged_to_padded_dense_forward _padded_dense_to_jagged_forward _has_same_storage_numel
        _new_zeros_with_same_feature_meta _test_functorch_fallback lu_unpack _dyn_quant_pack_4bit_weight
        _cudnn_rnn_flatten_weight""",
    "looked up, counted, reduced": """
        embedding embedding_renorm _embedding_bag* bincount histogram _histogramdd_* segment_reduce _cummax_helper
        _cummin_helper dist""",
    "pooled, sampled between pixels": """
        max_unpool* fractional_max_pool* grid_sampler_* _grid_sampler_* cudnn_grid_sampler*""",
    "normalized": """
        native_batch_norm _native_batch_norm_* _batch_norm_* batch_norm_* cudnn_batch_norm miopen_batch_norm
        quantized_batch_norm native_layer_norm native_group_norm _fused_rms_norm _weight_norm_interface""",
    "quantized and back": """
        quantize_* dequantize _make_per_channel_quantized_tensor _empty_per_channel_affine_quantized
        fake_quantize_* _fake_quantize_* _fused_moving_avg_obs_fq_helper*""",
    "losses": """
        *_loss *_loss_forward *_loss2d_forward _ctc_loss _cudnn_ctc_loss _use_*_ctc_loss binary_cross_entropy*""",
    "random numbers": "bernoulli normal _philox_* _standard_gamma_grad _dirichlet_grad linspace logspace",
    "checks and bookkeeping": """
        _amp_* _functional_assert_async _validate_* _convert_indices_from_csr_to_coo _fused_sdp_choice
        sparse_compressed_tensor _sparse_coo_tensor_with_dims_and_tensors _sparse_mask_projection sparse_mask""",
    "gradients of these": "*_backward *_backward_data *_backward_jvp _thnn_fused_*_backward_impl batch_norm_backward_*",
    "lists of tensors, element by element": "_foreach_* _fused_*",
}
_NO_PRODUCT_ELSEWHERE = """
    prim.* prims.* rngprims.* c10d.* _c10d_functional.* profiler.* quantized_decomposed.*
    quantized.add* quantized.mul* quantized.cat* quantized.batch_norm* quantized.layer_norm quantized.group_norm
    quantized.instance_norm quantized.prelu quantized.embedding_* onednn.qadd* onednn.qmul onednn.qbatch_norm2d
    torchvision.nms torchvision.roi_* torchvision.ps_roi_* torchvision._roi_* torchvision._ps_roi_*
    torch_scatter.* torch_cluster.* pyg.index_sort pyg.*_sample* pyg.segment_*_csr pyg.fps pyg.radius* pyg.knn*
    torchao.quantize_* torchao.dequantize_* torchao.choose_qparams_* quanto.quantize_* quanto.unpack
    bitsandbytes.quantize_* bitsandbytes.dequantize_* bitsandbytes.int8_vectorwise_* bitsandbytes.int8_double_quant
    bitsandbytes.int8_mm_dequant
    mkldnn._reorder_* symm_mem.*_reduce* symm_mem.all_to_all*"""
NO_PRODUCT: tuple[str, ...] = (
    *(f"aten.{name}" for names in _NO_PRODUCT.values() for name in names.split()),
    *_NO_PRODUCT_ELSEWHERE.split(),
)
"""Operators, or patterns of them, that two arrays may meet in without a product. :data:`REFUSED` comes first."""


def plain_name(operator: str) -> str:
    """``aten.add_`` is ``aten.add``, written in place."""
    namespace, _, name = operator.partition(".")
    return operator if name.endswith("__") else f"{namespace}.{name.rstrip('_')}"


@cache
def refused(operator: str) -> str | None:
    """What the operator is, where it is on the list of those that cannot be mapped."""
    name = plain_name(operator)
    return next((what for pattern, what in REFUSED.items() if fnmatchcase(name, pattern)), None)


@cache
def is_no_product(operator: str) -> bool:
    """Whether the operator is on the list of those that multiply and accumulate nothing."""
    name = plain_name(operator)
    return refused(operator) is None and any(fnmatchcase(name, pattern) for pattern in NO_PRODUCT)
