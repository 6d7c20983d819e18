"""`user …`: who may sign in to the web role."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from node.cli.options import MISCONFIGURED, config_option, leave, read_config
from node.cli.reading import told
from node.web.users import Right, User, UsersInvalid, make_user, read_users, write_users

LEAST = 12


@click.group()
def user() -> None:
    """Say who may sign in to the status page."""


@user.command()
@click.argument("name")
@click.option("--right", type=click.Choice([right.value for right in Right]), required=True)
@config_option
@told
def add(name: str, right: str, config_path: Path | None) -> None:
    """Add a user, or change one; the password is asked for, or read from stdin."""
    path = _path(config_path)
    users = _users(path)
    password = _ask()
    if len(password) < LEAST:
        leave(f"a password has at least {LEAST} characters")
    try:
        users[name] = make_user(name, Right(right), password)
    except ValueError as error:
        leave(str(error), MISCONFIGURED)
    write_users(path, users)
    click.echo(f"{name} may {right}; the web role reads its users when it starts")


@user.command("list")
@config_option
@told
def list_users(config_path: Path | None) -> None:
    """List the users and their rights."""
    for known in _users(_path(config_path)).values():
        click.echo(f"{known.name} {known.right}")


@user.command()
@click.argument("name")
@config_option
@told
def remove(name: str, config_path: Path | None) -> None:
    """Take a user's right to sign in."""
    path = _path(config_path)
    users = _users(path)
    if users.pop(name, None) is None:
        leave(f"there is no user {name}")
    write_users(path, users)
    click.echo(f"{name} may no longer sign in, once the web role has started anew")


def _ask() -> str:
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\n")
    password: str = click.prompt("Password", hide_input=True, confirmation_prompt=True)
    return password


def _path(config_path: Path | None) -> Path:
    path = read_config(config_path).web.users
    if path is None:
        leave("the configuration names no file for users: set [web] users", MISCONFIGURED)
    return path


def _users(path: Path) -> dict[str, User]:
    try:
        return read_users(path) if path.exists() else {}
    except UsersInvalid as error:
        leave(str(error))
