"""Named ways to answer: read from one file, kept by the conversation, and never swapped silently."""

from pathlib import Path

import pytest

from tandem_chat.adapters.persona_files import PersonaFileError, load_personas
from tandem_chat.domain.errors import PersonaGoneError, UnknownPersonaError
from tandem_chat.domain.persona import Persona, Sampling
from tandem_chat.domain.prompt import PromptMessage, without_oldest_turns
from tandem_messaging.database import Database
from tests.support.chat_builders import Chat, create_tables

TUTOR = Persona("tutor", "Tutor", "You teach Korean.", "tutor-lora", 20, Sampling(0.3, stop=("END",)))
FILE = """
[[persona]]
name = "tutor"
title = "Tutor"
system_prompt = "You teach Korean."
model = "tutor-lora"
max_tokens = 20
temperature = 0.3
stop = ["END"]
"""


async def chat_with(database: Database, *personas: Persona) -> Chat:
    return Chat.on(database, personas=personas)


@pytest.fixture
async def database(tmp_path: Path) -> Database:
    url = f"sqlite+aiosqlite:///{tmp_path / 'chat.db'}"
    await create_tables(url)
    return Database(url)


def test_file_is_read_and_there_is_always_a_default(tmp_path: Path) -> None:
    path = tmp_path / "personas.toml"
    path.write_text(FILE)
    personas = load_personas(path, default=Sampling(0.0))
    assert personas.all["tutor"] == TUTOR
    assert personas.all["default"].sampling == Sampling(0.0)
    assert list(load_personas(None, default=Sampling()).all) == ["default"]


WRONG = {
    "no TOML": ("[[persona", "expected TOML"),
    "nothing in it": ("", "persona"),
    "an unknown field": (FILE + "temprature = 1\n", "persona[0].temprature"),
    "too hot": (FILE.replace("0.3", "3"), "persona[0].temperature"),
    "a name with spaces": (FILE.replace('"tutor"', '"the tutor"'), "persona[0].name"),
    "one name twice": (FILE + FILE, "tutor stands there twice"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_file_is_told_with_its_name_and_the_place(tmp_path: Path, name: str) -> None:
    content, told = WRONG[name]
    path = tmp_path / "personas.toml"
    path.write_text(content)
    with pytest.raises(PersonaFileError) as refused:
        load_personas(path, default=Sampling())
    assert str(path) in str(refused.value)
    assert told in str(refused.value)


def test_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(PersonaFileError, match="expected a readable TOML file"):
        load_personas(tmp_path / "none.toml", default=Sampling())


def test_system_prompt_stays_whatever_turns_are_dropped() -> None:
    system = PromptMessage("system", "Be kind.")
    said = [PromptMessage("user", "1"), PromptMessage("assistant", "a"), PromptMessage("user", "2")]
    assert without_oldest_turns([system, *said], 0) == [system, *said]
    assert without_oldest_turns([system, *said], 1) == [system, said[-1]]
    assert without_oldest_turns([system, *said], 9) == [system, said[-1]]


async def test_persona_decides_what_the_engine_is_asked_and_how(database: Database) -> None:
    chat = await chat_with(database, TUTOR)
    conversation = await chat.conversations.create("", "tutor")
    await chat.answered("hi", conversation.id)
    assert [message.role for message in chat.engine.asked[-1]] == ["system", "user"]
    assert chat.engine.asked[-1][0].content == TUTOR.system_prompt
    assert chat.engine.asked_how[-1] == (TUTOR.model, TUTOR.sampling)
    assert chat.engine.max_tokens[-1] == TUTOR.max_tokens
    await database.close()


async def test_unknown_persona_is_refused_and_one_that_is_gone_is_not_replaced(database: Database) -> None:
    chat = await chat_with(database, TUTOR)
    with pytest.raises(UnknownPersonaError, match="default, tutor"):
        await chat.conversations.create("", "pirate")
    conversation = await chat.conversations.create("", "tutor")
    without = await chat_with(database)
    with pytest.raises(PersonaGoneError, match="tutor"):
        await without.posting.post(conversation.id, "Hello?")
    _, messages = await without.conversations.read(conversation.id)
    assert messages == []
    await database.close()
