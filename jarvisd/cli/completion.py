"""`jarvisctl completion`: the completion script of a shell."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print the completion script of a shell. It completes verbs, options, jobs, runs, plans and models.

    zsh reads it from a folder of `fpath`: mkdir -p ~/.zfunc, and in ~/.zshrc `fpath+=~/.zfunc` before `compinit`.
    bash with bash-completion and fish read it from the folders below. A new shell has it.

    \b
    Example:
      jarvisctl completion zsh > ~/.zfunc/_jarvisctl
      jarvisctl completion bash > ~/.local/share/bash-completion/completions/jarvisctl
      jarvisctl completion fish > ~/.config/fish/completions/jarvisctl.fish
    """
    completion_class = get_completion_class(shell)
    if completion_class is None:  # the choices above are those that click has
        raise click.UsageError(f"no completion for {shell}")
    click.echo(completion_class(ctx.find_root().command, {}, "jarvisctl", "_JARVISCTL_COMPLETE").source())
