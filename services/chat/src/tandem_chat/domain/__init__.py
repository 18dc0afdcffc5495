"""What chat is about, free of frameworks: conversations, replies, feedback and the rules between them."""
