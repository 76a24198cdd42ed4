"""Whether a service may listen where it is told to: beyond localhost only with API keys."""

from steper_ray.errors import ConfigError
from steper_ray.sections.serve import ServeSection, is_loopback
from steper_ray.serve.keys import read_keys


def check_access(section: ServeSection) -> ServeSection:
    """The section with an absolute path to the key file, since replicas start elsewhere.

    Raises:
        ConfigError: `serve.host` is not localhost and there are no keys.
        InputError: the key file is missing or broken.
    """
    if section.keys is None:
        if is_loopback(section.host):
            return section
        raise ConfigError(
            f"serve.host={section.host} can be reached from other machines, so API keys are needed; make one with "
            "`steper keys add NAME --file keys.json` and set serve.keys=keys.json"
        )
    file = section.keys.resolve()
    if not read_keys(file):
        raise ConfigError(f"serve.keys={section.keys} holds no key; make one with `steper keys add NAME --file FILE`")
    return section.model_copy(update={"keys": file})
