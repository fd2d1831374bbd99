"""What a track can be: one closed vocabulary, the 80 COCO classes by their usual order (0 is a person).

Free text never leaves a device; a model whose classes are not in this list maps them or drops them.
"""

COCO_CLASSES: tuple[str, ...] = tuple(
    (
        "person,bicycle,car,motorcycle,airplane,bus,train,truck,boat,traffic light,fire hydrant,stop sign,"
        "parking meter,bench,bird,cat,dog,horse,sheep,cow,elephant,bear,zebra,giraffe,backpack,umbrella,handbag,"
        "tie,suitcase,frisbee,skis,snowboard,sports ball,kite,baseball bat,baseball glove,skateboard,surfboard,"
        "tennis racket,bottle,wine glass,cup,fork,knife,spoon,bowl,banana,apple,sandwich,orange,broccoli,carrot,"
        "hot dog,pizza,donut,cake,chair,couch,potted plant,bed,dining table,toilet,tv,laptop,mouse,remote,keyboard,"
        "cell phone,microwave,oven,toaster,sink,refrigerator,book,clock,vase,scissors,teddy bear,hair drier,"
        "toothbrush"
    ).split(",")
)
PERSON, BICYCLE, CAR = 0, 1, 2


def class_name(class_id: int) -> str:
    """Return the vocabulary's word for ``class_id``.

    Raises:
        IndexError: ``class_id`` is outside the vocabulary.
    """
    if class_id < 0:
        raise IndexError(class_id)
    return COCO_CLASSES[class_id]
