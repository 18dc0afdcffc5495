"""What vLLM 0.32 prints while it starts, at the default log level; sizes as of one engine on one card, or of the CPU build.

Only the lines that carry sizes or settings, and a few between them.
"""

GPU_START = """\
(APIServer pid=411) INFO 09-10 12:00:01 [api_utils.py:286] non-default args: {'host': '127.0.0.1', 'port': 8801, \
'model': 'Qwen/Qwen2.5-3B-Instruct', 'max_model_len': 2048, 'gpu_memory_utilization': 0.9, 'max_num_seqs': 16}
(APIServer pid=411) INFO 09-10 12:00:02 [model.py:733] Resolved architecture: Qwen2ForCausalLM
(EngineCore pid=587) INFO 09-10 12:00:09 [core.py:133] Initializing a V1 LLM engine (v0.32.0) with config: \
model='Qwen/Qwen2.5-3B-Instruct', speculative_config=None, dtype=torch.bfloat16, max_seq_len=2048, \
tensor_parallel_size=1, pipeline_parallel_size=1, quantization=None, enforce_eager=False, kv_cache_dtype=auto, \
device_config=cuda, seed=0
Loading safetensors checkpoint shards: 100% Completed | 2/2 [00:01<00:00,  1.43it/s]
(EngineCore pid=587) INFO 09-10 12:00:14 [gpu_model_runner.py:5149] Model loading took 5.79 GiB memory and 2.114060 seconds
(EngineCore pid=587) INFO 09-10 12:00:41 [gpu_model_runner.py:6474] Estimated CUDA graph memory: 0.09 GiB total
(EngineCore pid=587) INFO 09-10 12:00:41 [gpu_worker.py:759] Available KV cache memory: 13.58 GiB
(EngineCore pid=587) INFO 09-10 12:00:41 [kv_cache_utils.py:2327] GPU KV cache size: 395,520 tokens, \
Maximum concurrency for 2,048 tokens per request: 193.12x
(EngineCore pid=587) INFO 09-10 12:00:46 [gpu_model_runner.py:6581] Graph capturing finished in 4 secs, took 0.11 GiB
(APIServer pid=411) INFO:     Application startup complete.
"""
CPU_START = """\
(EngineCore pid=587) INFO 09-10 12:00:09 [core.py:133] Initializing a V1 LLM engine (v0.32.0) with config: \
model='Qwen/Qwen2.5-3B-Instruct', dtype=torch.bfloat16, max_seq_len=2048, enforce_eager=True, kv_cache_dtype=auto, \
device_config=cpu, seed=0
(EngineCore pid=587) INFO 09-10 12:00:41 [kv_cache_utils.py:2327] CPU KV cache size: 46,592 tokens, \
Maximum concurrency for 2,048 tokens per request: 22.75x
"""
