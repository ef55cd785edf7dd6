"""OpenAI's Realtime voice models on the telephone."""
