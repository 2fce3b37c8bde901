"""`keras-patching demo`."""

from keras_patching.commands.arguments import integer_from


def add(commands):
    """Add the command to the subparsers of `argparse`."""
    parser = commands.add_parser(
        "demo",
        help="train on made-up images and predict whole ones, in minutes",
        description=(
            "Draw a small field of large plant images with labels, train a "
            "model on patches of them, predict whole images that it has not "
            "seen, and compare it with thresholding the colour. Prints each "
            "step with the call that it stands for. Needs no data, no GPU "
            "and no network."
        ),
    )
    parser.add_argument(
        "--task",
        choices=("segmentation", "counting", "detection"),
        default="segmentation",
        help="what to demonstrate: segmentation of plants, or counting or "
        "detection of seedlings (default: %(default)s)",
    )
    parser.add_argument(
        "--out",
        metavar="DIR",
        default="keras-patching-demo",
        help="folder to write images, patches, pictures and the model to, "
        "below the name of the task; made if missing, patches in it are used "
        "again (default: ./%(default)s)",
    )
    parser.add_argument(
        "--seed",
        type=integer_from(0, 2**32 - 1),  # what `keras.utils` takes
        default=0,
        metavar="N",
        help="which field to draw, how to split it and where to start "
        "training: an integer from 0 (default: %(default)s)",
    )
    parser.add_argument(
        "--epochs",
        type=integer_from(1),
        metavar="N",
        help="how often to go through all patches; more is better and slower "
        "(default: by the task, less than three minutes on two cores)",
    )
    parser.set_defaults(
        run=_run,
        go_on="Run the same command again: patches that are cut already are "
        "kept, and training begins anew.",
    )


def _run(options):
    from keras_patching import demos

    chosen = {} if options.epochs is None else {"epochs": options.epochs}
    demos.TASKS[options.task](options.out, options.seed, **chosen)
