"""A service of songs for programs: HTTP and WebSocket endpoints in the manner of OpenAI's."""
