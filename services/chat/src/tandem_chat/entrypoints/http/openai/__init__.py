"""The OpenAI-compatible face of chat: stateless, for programs that keep their conversations themselves."""
