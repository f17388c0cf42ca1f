"""`jarvisctl completion`: the completion script of a shell."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print the completion script of a shell. It completes verbs, options, jobs, runs, plans and models.

    The first three lines below are for the file that each shell reads when it starts; a new shell has it then. Without
    that, which costs a tenth of a second per shell, put the script into a folder that the shell searches.

    \b
    Example:
      echo 'eval "$(jarvisctl completion zsh)"' >> ~/.zshrc      after its compinit
      echo 'eval "$(jarvisctl completion bash)"' >> ~/.bashrc
      echo 'jarvisctl completion fish | source' >> ~/.config/fish/config.fish
      jarvisctl completion zsh > ~/.zfunc/_jarvisctl             fpath+=~/.zfunc stands before compinit
      jarvisctl completion bash > ~/.local/share/bash-completion/completions/jarvisctl
      jarvisctl completion fish > ~/.config/fish/completions/jarvisctl.fish
    """
    completion_class = get_completion_class(shell)
    if completion_class is None:  # the choices above are those that click has
        raise click.UsageError(f"no completion for {shell}")
    click.echo(completion_class(ctx.find_root().command, {}, "jarvisctl", "_JARVISCTL_COMPLETE").source())
