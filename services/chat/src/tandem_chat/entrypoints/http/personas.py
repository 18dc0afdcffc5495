"""The route of the personas that a conversation can be made with."""

from fastapi import APIRouter
from pydantic import BaseModel

from tandem_chat.entrypoints.http.dependencies import ChatDep, UseCasesDep
from tandem_chat.entrypoints.http.documentation import problems

router = APIRouter(prefix="/v1", tags=["conversations"], responses=problems())


class PersonaBody(BaseModel):
    """A persona as a caller sees it; how it is done stays with the operator."""

    name: str
    title: str


class PersonaList(BaseModel):
    """All personas, the default one first."""

    items: list[PersonaBody]


@router.get("/personas")
async def list_personas(chat: ChatDep, use_cases: UseCasesDep) -> PersonaList:
    """List who may answer; pass a `name` as `persona` of a new conversation."""
    return PersonaList(
        items=[PersonaBody(name=one.name, title=one.title) for one in chat.personas.all.values()]
    )
